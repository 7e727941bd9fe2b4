//! ChangeResourceRecordSets: a batch is checked whole, then applied whole or not at all.

use super::{
    Refusal, Reply, names, rules, shapes,
    state::{Set, Sets, State, Zone},
    xml,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch {
    comment: Option<String>,
    changes: Vec<Change>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Change {
    pub(crate) action: String,
    pub(crate) resource_record_set: Set,
}

fn parse(body: &[u8]) -> Result<Batch, Refusal> {
    let mut value = xml::read(body, "ChangeResourceRecordSetsRequest", &shapes::CHANGE_SETS)?;
    Ok(serde_json::from_value(value["ChangeBatch"].take()).unwrap())
}

/// What a batch takes from the account's bucket of changes.
pub(crate) fn tokens(body: &[u8]) -> f64 {
    let batch = parse(body);
    batch.iter().flat_map(|batch| &batch.changes).map(|change| f64::from(change.times())).sum()
}

impl Change {
    /// An UPSERT counts twice, wherever changes are counted.
    fn times(&self) -> u16 {
        if self.action == "UPSERT" { 2 } else { 1 }
    }

    /// How a refusal names it.
    pub(crate) fn named(&self) -> String {
        let set = &self.resource_record_set;
        let identifier = set.set_identifier.as_deref().unwrap_or("null");
        format!(
            "Change with [Action={}, Name={}, Type={}, SetIdentifier={identifier}]",
            self.action, set.name, set.rtype
        )
    }
}

pub(crate) fn change(
    state: &mut State,
    now: Duration,
    id: &str,
    body: &[u8],
) -> Result<Reply, Refusal> {
    let batch = parse(body)?;
    let zone = state.zones.get(id).ok_or_else(|| Refusal::no_zone(id))?;
    if now < zone.busy_until {
        let why = "The request was rejected because Route 53 was still processing a prior request.";
        return Err(Refusal::new(400, "PriorRequestNotComplete", why));
    }
    for change in &batch.changes {
        rules::form(change)?;
    }
    counted(&batch)?;
    let changes = canonical(batch.changes)?;
    for change in &changes {
        known_check(state, change)?;
    }
    let sets = applied(state, zone, &changes)?;
    let busy_until = now + state.processing;
    let zone = state.zones.get_mut(id).unwrap();
    zone.sets = sets;
    zone.busy_until = busy_until;
    let info = state.changed(now, batch.comment.as_deref());
    let body = json!({ "ChangeInfo": info });
    Ok(Reply::ok("ChangeResourceRecordSetsResponse", &shapes::CHANGED, &body))
}

/// The limits on one batch.
fn counted(batch: &Batch) -> Result<(), Refusal> {
    let (mut records, mut characters) = (0, 0);
    for change in &batch.changes {
        let data = change.resource_record_set.data();
        let times = usize::from(change.times());
        records += times * data.len().max(1);
        characters += times * data.iter().map(|value| value.chars().count()).sum::<usize>();
    }
    let mut why = Vec::new();
    if records > MAX_RECORDS {
        why.push(format!("Number of records limit of {MAX_RECORDS} exceeded."));
    }
    if characters > MAX_CHARACTERS {
        why.push(format!("Number of characters in values limit of {MAX_CHARACTERS} exceeded."));
    }
    refused(&why)
}

fn refused(why: &[String]) -> Result<(), Refusal> {
    if why.is_empty() { Ok(()) } else { Err(Refusal::batch(why)) }
}

/// All names in the form that is stored, all values such as DNS can carry.
fn canonical(mut changes: Vec<Change>) -> Result<Vec<Change>, Refusal> {
    let mut why = Vec::new();
    for change in &mut changes {
        let set = &mut change.resource_record_set;
        let name = names::canonical(&set.name);
        set.name = name.unwrap_or_else(|problem| {
            why.push(format!("Invalid Resource Record: '{problem}'"));
            set.name.clone()
        });
        if let Some(alias) = &mut set.alias_target {
            match names::canonical(&alias.dns_name) {
                Ok(name) => alias.dns_name = name,
                Err(problem) => why.push(format!("Invalid alias target: '{problem}'")),
            }
        }
        why.extend(rules::values(set));
    }
    let mut seen: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for change in &changes {
        let actions = seen.entry(change.resource_record_set.key()).or_default();
        actions.push(change.action.as_str());
        if !matches!(actions.as_slice(), [_] | ["DELETE", "CREATE" | "UPSERT"]) {
            let set = &change.resource_record_set;
            why.push(format!(
                "The request contains an invalid set of changes for a resource record set '{} {}'",
                set.rtype, set.name
            ));
        }
    }
    refused(&why)?;
    Ok(changes)
}

fn known_check(state: &State, change: &Change) -> Result<(), Refusal> {
    match &change.resource_record_set.health_check_id {
        Some(id) if change.action != "DELETE" && !state.checks.contains_key(id) => {
            Err(Refusal::no_check(id))
        }
        _ => Ok(()),
    }
}

/// The zone's sets after all changes, one after the other.
fn applied(state: &State, zone: &Zone, changes: &[Change]) -> Result<Sets, Refusal> {
    let mut sets = zone.sets.clone();
    let mut why = Vec::new();
    for (index, change) in changes.iter().enumerate() {
        let set = &change.resource_record_set;
        if zone.protected.contains(&(set.name.clone(), set.rtype.clone())) {
            why.push(format!(
                "Resource record set [name='{}', type='{}'] is protected",
                set.name, set.rtype
            ));
            continue;
        }
        if !names::within(&set.name, &zone.name) {
            why.push(format!(
                "RRSet with DNS name {} is not permitted in zone {}",
                set.name, zone.name
            ));
            continue;
        }
        let own = match change.action.as_str() {
            "DELETE" => removed(&mut sets, set),
            action => {
                let later = &changes[index + 1..];
                rules::created(state, zone, &sets, set, action == "CREATE", later)
            }
        };
        if own.is_empty() && change.action != "DELETE" {
            sets.insert(set.key(), set.clone());
        }
        why.extend(own);
    }
    if why.is_empty() {
        why.extend(rules::whole(zone, &sets));
    }
    refused(&why)?;
    Ok(sets)
}

/// Takes a set out that is exactly as told; otherwise why not.
fn removed(sets: &mut Sets, set: &Set) -> Vec<String> {
    let key = set.key();
    let Some(present) = sets.get(&key) else {
        return vec![format!(
            "Tried to delete resource record set {} but it was not found",
            which(set)
        )];
    };
    if comparable(present) != comparable(set) {
        return vec![format!(
            "Tried to delete resource record set {} but the values provided do not match the \
             current values",
            which(set)
        )];
    }
    sets.remove(&key);
    Vec::new()
}

/// Everything of a set, values in any order.
fn comparable(set: &Set) -> (Value, Vec<String>) {
    let mut shape = set.shape();
    shape.as_object_mut().unwrap().remove("ResourceRecords");
    (shape, set.data())
}

/// How a refusal names a set.
pub(crate) fn which(set: &Set) -> String {
    let identifier = set.set_identifier.as_ref();
    let identifier = identifier.map(|id| format!(", set-identifier='{id}'")).unwrap_or_default();
    format!("[name='{}', type='{}'{identifier}]", set.name, set.rtype)
}

/// ResourceRecord elements in one batch; one of an alias counts too.
const MAX_RECORDS: usize = 1_000;

/// Characters of all values in one batch.
const MAX_CHARACTERS: usize = 32_000;
