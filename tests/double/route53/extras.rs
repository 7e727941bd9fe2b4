//! Tags and collections of networks: as much of them as record sets and other clients need.

use super::{
    Refusal, Reply, shapes,
    state::{Collection, State},
    xml,
};
use serde_json::{Value, json};

// === Tags ===

fn resource(state: &State, kind: &str, id: &str) -> Result<(String, String), Refusal> {
    match kind {
        "healthcheck" if state.checks.contains_key(id) => {}
        "healthcheck" => return Err(Refusal::no_check(id)),
        "hostedzone" if state.zones.contains_key(id) => {}
        "hostedzone" => return Err(Refusal::no_zone(id)),
        _ => return Err(Refusal::input("The resource type is not valid")),
    }
    Ok((kind.to_owned(), id.to_owned()))
}

pub(crate) fn change_tags(
    state: &mut State,
    kind: &str,
    id: &str,
    body: &[u8],
) -> Result<Reply, Refusal> {
    let asked = xml::read(body, "ChangeTagsForResourceRequest", &shapes::CHANGE_TAGS)?;
    let tags = state.tags.entry(resource(state, kind, id)?).or_default();
    for tag in asked["AddTags"].as_array().into_iter().flatten() {
        let text = |field: &str| tag[field].as_str().unwrap_or_default().to_owned();
        tags.insert(text("Key"), text("Value"));
    }
    for key in asked["RemoveTagKeys"].as_array().into_iter().flatten() {
        tags.remove(key.as_str().unwrap_or_default());
    }
    Ok(Reply::ok("ChangeTagsForResourceResponse", &shapes::NOTHING, &json!({})))
}

pub(crate) fn tags(state: &State, kind: &str, id: &str) -> Result<Reply, Refusal> {
    let own = state.tags.get(&resource(state, kind, id)?);
    let tags = own.into_iter().flatten();
    let tags: Vec<_> = tags.map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    let set = json!({ "ResourceType": kind, "ResourceId": id, "Tags": tags });
    let body = json!({ "ResourceTagSet": set });
    Ok(Reply::ok("ListTagsForResourceResponse", &shapes::TAGS, &body))
}

// === Collections of networks ===

impl Collection {
    fn shown(&self) -> Value {
        json!({
            "Arn": format!("arn:aws:route53:::cidrcollection/{}", self.id),
            "Id": self.id,
            "Name": self.name,
            "Version": self.version,
        })
    }
}

pub(crate) fn create_collection(state: &mut State, body: &[u8]) -> Result<Reply, Refusal> {
    let asked = xml::read(body, "CreateCidrCollectionRequest", &shapes::CREATE_COLLECTION)?;
    let text = |field: &str| asked[field].as_str().unwrap_or_default().to_owned();
    let (name, reference) = (text("Name"), text("CallerReference"));
    let same = |own: &Collection| own.name == name || own.reference == reference;
    if state.collections.values().any(same) {
        let why = "A collection with that name or reference exists";
        return Err(Refusal::new(400, "CidrCollectionAlreadyExistsException", why));
    }
    if state.collections.len() >= MAX_COLLECTIONS {
        return Err(Refusal::new(400, "LimitsExceeded", "There are too many CIDR collections"));
    }
    let id = state.uuid();
    let own = Collection { id: id.clone(), name, reference, version: 1, blocks: [].into() };
    let body = json!({ "Collection": own.shown() });
    state.collections.insert(id.clone(), own);
    let reply = Reply::ok("CreateCidrCollectionResponse", &shapes::COLLECTION_CREATED, &body);
    Ok(reply.created(&format!("cidrcollection/{id}")))
}

fn no_collection(id: &str) -> Refusal {
    let why = format!("The CIDR collection {id} does not exist");
    Refusal::new(404, "NoSuchCidrCollectionException", &why)
}

pub(crate) fn change_collection(
    state: &mut State,
    id: &str,
    body: &[u8],
) -> Result<Reply, Refusal> {
    let asked = xml::read(body, "ChangeCidrCollectionRequest", &shapes::CHANGE_COLLECTION)?;
    let own = state.collections.get(id).ok_or_else(|| no_collection(id))?;
    if asked["CollectionVersion"].as_u64().is_some_and(|version| version != own.version) {
        let why = format!("The collection's version is {}", own.version);
        return Err(Refusal::new(409, "CidrCollectionVersionMismatchException", &why));
    }
    let mut blocks = own.blocks.clone();
    for change in asked["Changes"].as_array().into_iter().flatten() {
        for block in change["CidrList"].as_array().into_iter().flatten() {
            let block = block.as_str().unwrap_or_default();
            if block.parse::<ipnet::IpNet>().is_err() {
                return Err(Refusal::input(&format!("{block} is not a valid CIDR block")));
            }
            match change["Action"].as_str() {
                Some("PUT") => {
                    let at = change["LocationName"].as_str().unwrap_or_default();
                    blocks.insert(block.to_owned(), at.to_owned());
                }
                _ => {
                    blocks.remove(block);
                }
            }
        }
    }
    if blocks.len() > MAX_BLOCKS {
        return Err(Refusal::new(400, "LimitsExceeded", "There are too many CIDR blocks"));
    }
    let change = state.id('C');
    let own = state.collections.get_mut(id).unwrap();
    own.blocks = blocks;
    own.version += 1;
    let body = json!({ "Id": change });
    Ok(Reply::ok("ChangeCidrCollectionResponse", &shapes::COLLECTION_CHANGED, &body))
}

pub(crate) fn collections(state: &State) -> Reply {
    let all: Vec<_> = state.collections.values().map(Collection::shown).collect();
    let body = json!({ "CidrCollections": all });
    Reply::ok("ListCidrCollectionsResponse", &shapes::COLLECTIONS, &body)
}

pub(crate) fn blocks(state: &State, id: &str, at: Option<&str>) -> Result<Reply, Refusal> {
    let own = state.collections.get(id).ok_or_else(|| no_collection(id))?;
    let asked = own.blocks.iter().filter(|(_, name)| at.is_none_or(|at| at == name.as_str()));
    let blocks: Vec<_> =
        asked.map(|(block, name)| json!({ "CidrBlock": block, "LocationName": name })).collect();
    let body = json!({ "CidrBlocks": blocks });
    Ok(Reply::ok("ListCidrBlocksResponse", &shapes::BLOCKS, &body))
}

/// Collections of one account.
const MAX_COLLECTIONS: usize = 5;

/// Networks in one collection.
const MAX_BLOCKS: usize = 1_000;
