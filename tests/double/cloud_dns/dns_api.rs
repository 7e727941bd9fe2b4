//! The calls of dns.v1: zones and sets listed page by page, changes, single sets, the quota.

use super::{
    PROJECT, PROJECT_NUMBER,
    api::{Asked, nothing},
    compute::merge,
    refusal::Refusal,
    state::{PENDING, State},
    validate::Reader,
    values,
    wire::{Change, Rrset, read},
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

/// The query parameters that a call has of its own.
pub(super) fn parameters(call: &str) -> &'static [&'static str] {
    match call {
        "dns.managedZones.list" => &["dnsName", "maxResults", "pageToken"],
        "dns.resourceRecordSets.list" => &["filter", "maxResults", "name", "pageToken", "type"],
        "dns.changes.list" => &["maxResults", "pageToken", "sortBy", "sortOrder"],
        _ => &["clientOperationId"],
    }
}

pub(super) fn carry_out(state: &mut State, call: &str, asked: &Asked) -> Result<Value, Refusal> {
    let segment = |at: usize| asked.segments.get(at).map_or("", String::as_str);
    let zone = segment(5);
    match call {
        "dns.projects.get" => Ok(json!({
            "kind": "dns#project", "id": PROJECT, "number": PROJECT_NUMBER, "quota": state.quota_json(),
        })),
        "dns.managedZones.list" => zones(state, asked),
        "dns.managedZones.get" => state.zone(zone).map(super::state::Zone::json),
        "dns.resourceRecordSets.list" => sets(state, zone, asked),
        "dns.resourceRecordSets.get" => {
            state.zone(zone)?.set(segment(7), segment(8)).map(|set| json!(set))
        }
        "dns.resourceRecordSets.create" => create(state, zone, &asked.body),
        "dns.resourceRecordSets.patch" => patch(state, zone, segment(7), segment(8), &asked.body),
        "dns.resourceRecordSets.delete" => delete(state, zone, segment(7), segment(8)),
        "dns.changes.create" => {
            let asked: Change = read(&asked.body, "change")?;
            let now = state.now;
            state.change(zone, asked, now).map(|change| json!(change))
        }
        "dns.changes.list" => changes(state, zone, asked),
        _ => change(state, zone, segment(7)),
    }
}

fn zones(state: &State, asked: &Asked) -> Result<Value, Refusal> {
    let only = match asked.query.get("dnsName") {
        None => None,
        Some(text) => {
            let name = values::name(text);
            Some(name.ok_or_else(|| Refusal::invalid("parameters.dnsName", text))?)
        }
    };
    let zones =
        state.zones.values().filter(|zone| only.as_ref().is_none_or(|name| *name == zone.dns_name));
    let all = zones.map(|zone| (zone.name.clone(), zone.json())).collect();
    page(asked, all, "managedZones", "dns#managedZonesListResponse")
}

fn sets(state: &State, zone: &str, asked: &Asked) -> Result<Value, Refusal> {
    let zone = state.zone(zone)?;
    let rtype = asked.query.get("type");
    let name = match asked.query.get("name") {
        None => None,
        Some(text) => {
            let name = values::name(text);
            Some(name.ok_or_else(|| Refusal::invalid("parameters.name", text))?)
        }
    };
    if let (Some(_), None) = (rtype, &name) {
        return Err(Refusal::required("parameters.name"));
    }
    if let Some(rtype) = rtype.filter(|own| !values::TYPES.contains(&own.as_str())) {
        return Err(Refusal::invalid("parameters.type", rtype));
    }
    if let Some(filter) = asked.query.get("filter") {
        return Err(Refusal::invalid("parameters.filter", filter));
    }
    let all = zone.sets.iter();
    let matching = all.filter(|(_, set)| {
        name.as_ref().is_none_or(|name| *name == set.name)
            && rtype.is_none_or(|own| *own == set.rtype)
    });
    let all = matching
        .map(|((labels, rtype), set)| (format!("{}\0{rtype}", labels.join("\u{1}")), json!(set)));
    page(asked, all.collect(), "rrsets", "dns#resourceRecordSetsListResponse")
}

/// The page that is asked for, of what is in the order of its keys; a token says after which key
/// the next one begins, so that what changes between pages moves nothing.
fn page(
    asked: &Asked,
    all: Vec<(String, Value)>,
    field: &str,
    kind: &str,
) -> Result<Value, Refusal> {
    let most = match asked.query.get("maxResults") {
        None => PAGE,
        Some(text) => match text.parse::<usize>() {
            Ok(most) if most > 0 => most.min(MOST),
            _ => return Err(Refusal::invalid("parameters.maxResults", text)),
        },
    };
    let rest: Vec<(String, Value)> = match asked.query.get("pageToken") {
        None => all,
        Some(token) => {
            let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).ok();
            let after = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            let after = after.and_then(|text| text.strip_prefix("after ").map(str::to_owned));
            let after = after.ok_or_else(|| Refusal::invalid("parameters.pageToken", token))?;
            let at = all.iter().position(|(key, _)| *key == after);
            let from = at.map_or_else(
                || all.iter().position(|(key, _)| *key > after).unwrap_or(all.len()),
                |at| at + 1,
            );
            all.into_iter().skip(from).collect()
        }
    };
    let mut answer = json!({ "kind": kind });
    if rest.len() > most {
        let token = format!("after {}", rest[most - 1].0);
        answer["nextPageToken"] = json!(BASE64URL_NOPAD.encode(token.as_bytes()));
    }
    answer[field] = rest.into_iter().take(most).map(|(_, value)| value).collect();
    Ok(answer)
}

fn create(state: &mut State, zone: &str, body: &[u8]) -> Result<Value, Refusal> {
    let dns_name = state.zone(zone)?.dns_name.clone();
    let path = "entity.rrset".to_owned();
    let set = Reader { state, path: path.clone() }.read(read(body, "rrset")?, &dns_name)?;
    write(state, zone, vec![(path, set.clone())], Vec::new())?;
    Ok(json!(set))
}

/// Fields that are given take the place of those that are there; all within them that is not
/// given stays (so that a policy does not change its kind).
fn patch(
    state: &mut State,
    zone: &str,
    name: &str,
    rtype: &str,
    body: &[u8],
) -> Result<Value, Refusal> {
    let found = state.zone(zone)?;
    let (dns_name, before) = (found.dns_name.clone(), found.set(name, rtype)?.clone());
    let _: Rrset = read(body, "rrset")?;
    let mut after = json!(before);
    merge(&mut after, serde_json::from_slice(body).unwrap());
    let path = "entity.rrset".to_owned();
    let after = read(after.to_string().as_bytes(), "rrset")?;
    let after = Reader { state, path: path.clone() }.read(after, &dns_name)?;
    write(state, zone, vec![(path.clone(), after.clone())], vec![(path, before)])?;
    Ok(json!(after))
}

fn delete(state: &mut State, zone: &str, name: &str, rtype: &str) -> Result<Value, Refusal> {
    let before = state.zone(zone)?.set(name, rtype)?.clone();
    write(state, zone, Vec::new(), vec![("entity.rrset".to_owned(), before)])?;
    Ok(nothing())
}

/// Applies what concerns one set, and notes it as a change, as the vendor does.
fn write(
    state: &mut State,
    zone: &str,
    additions: Vec<(String, Rrset)>,
    deletions: Vec<(String, Rrset)>,
) -> Result<(), Refusal> {
    let sets = state.applied(zone, &additions, &deletions)?;
    let name = state.zone(zone)?.name.clone();
    let done = state.now + PENDING;
    let own = state.zones.get_mut(&name).unwrap();
    own.sets = sets;
    let bare = |list: Vec<(String, Rrset)>| list.into_iter().map(|(_, set)| set).collect();
    own.changes.push((Change::new(own.changes.len(), bare(additions), bare(deletions)), done));
    Ok(())
}

fn changes(state: &State, zone: &str, asked: &Asked) -> Result<Value, Refusal> {
    let zone = state.zone(zone)?;
    let given = |name: &str| asked.query.get(name).map(String::as_str);
    if let Some(by) = given("sortBy").filter(|by| *by != "changeSequence") {
        return Err(Refusal::invalid("parameters.sortBy", by));
    }
    let back = match given("sortOrder") {
        None | Some("ascending") => false,
        Some("descending") => true,
        Some(other) => return Err(Refusal::invalid("parameters.sortOrder", other)),
    };
    let changes = (0..zone.changes.len()).filter_map(|at| zone.change_at(at, state.now));
    let mut all: Vec<(String, Value)> =
        changes.map(|change| (format!("{:>12}", change.id), json!(change))).collect();
    if back {
        all.reverse();
    }
    page(asked, all, "changes", "dns#changesListResponse")
}

fn change(state: &State, zone: &str, id: &str) -> Result<Value, Refusal> {
    let zone = state.zone(zone)?;
    let at = id.parse::<usize>().ok().filter(|at| at.to_string() == id);
    let change = at.and_then(|at| zone.change_at(at, state.now));
    change.map(|change| json!(change)).ok_or_else(|| Refusal::not_found("parameters.changeId", id))
}

/// How much a page holds where the client does not say, and how much at most.
const PAGE: usize = 100;
const MOST: usize = 1_000;
