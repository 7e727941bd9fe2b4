//! XML in and out, by the vendor's shapes: what is not in a shape, or in it twice, is refused.
//!
//! The documents give an order of elements; boto3 writes them in the order of the caller's
//! dictionary, and the vendor takes that. So the order is checked only where a test asks for it.

use super::Refusal;
use quick_xml::{Reader, escape, events::Event};
use serde_json::{Map, Value};

pub(crate) const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

/// What an element may hold.
#[derive(Debug)]
pub(crate) enum Shape {
    Struct(&'static [Member]),
    /// The name of its members, their shape, and how many there may be.
    List(&'static str, &'static Self, usize, usize),
    /// The least and the greatest length.
    Text(usize, usize),
    /// A text of at most that length that the function takes, and what it looks for.
    Pattern(usize, fn(&str) -> bool, &'static str),
    Enum(&'static [&'static str]),
    Number(i64, i64),
    Flag,
}

/// A member of a structure; those of one are in the order in which they must be written.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) shape: &'static Shape,
    pub(crate) required: bool,
}

#[derive(Debug, Default)]
struct Element {
    name: String,
    namespace: Option<String>,
    text: String,
    children: Vec<Self>,
}

/// A request's body, by its shape; all that breaks a constraint is told at once.
pub(crate) fn read(body: &[u8], root: &str, shape: &Shape) -> Result<Value, Refusal> {
    let text = std::str::from_utf8(body).map_err(|_| malformed("Invalid encoding"))?;
    let element = parse(text)?;
    if element.name != root || element.namespace.as_deref() != Some(NAMESPACE) {
        return Err(malformed("Unexpected root element, or its namespace"));
    }
    let mut broken = Vec::new();
    let mut path = Vec::new();
    let value = decode(&element, shape, &mut path, &mut broken)?;
    match broken.len() {
        0 => Ok(value),
        1 => Err(Refusal::input(&format!("1 validation error detected: {}", broken[0]))),
        many => {
            let all = broken.join("; ");
            Err(Refusal::input(&format!("{many} validation errors detected: {all}")))
        }
    }
}

/// Refuses elements that are not in the order of the documents.
pub(crate) fn in_order(body: &[u8], shape: &Shape) -> Result<(), Refusal> {
    fn visit(element: &Element, shape: &Shape) -> bool {
        match shape {
            Shape::Struct(members) => {
                let place = |child: &Element| members.iter().position(|own| own.name == child.name);
                let fits = |child: &Element| {
                    place(child).is_some_and(|at| visit(child, members[at].shape))
                };
                element.children.is_sorted_by_key(place) && element.children.iter().all(fits)
            }
            Shape::List(_, inner, ..) => element.children.iter().all(|child| visit(child, inner)),
            _ => true,
        }
    }
    let root = parse(&String::from_utf8_lossy(body))?;
    if visit(&root, shape) { Ok(()) } else { Err(malformed("Elements are not in their order")) }
}

fn malformed(why: &str) -> Refusal {
    Refusal::new(400, "MalformedInput", why)
}

fn parse(text: &str) -> Result<Element, Refusal> {
    let broken = |_| malformed("The XML is not well formed");
    let mut reader = Reader::from_str(text);
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().map_err(broken)? {
            Event::Start(start) => open.push(element(&start)?),
            Event::Empty(start) => {
                let own = element(&start)?;
                open.last_mut().unwrap().children.push(own);
            }
            Event::End(_) => {
                let own = open.pop().unwrap();
                open.last_mut().unwrap().children.push(own);
            }
            Event::Text(text) => {
                open.last_mut().unwrap().text.push_str(&text.xml10_content());
            }
            Event::GeneralRef(reference) => {
                let own = escape::unescape(&format!("&{};", reference.xml10_content()))
                    .map_err(|_| malformed("Unknown entity"))?
                    .into_owned();
                open.last_mut().unwrap().text.push_str(&own);
            }
            Event::CData(text) => {
                open.last_mut().unwrap().text.push_str(&text.xml10_content());
            }
            Event::Decl(_) | Event::Comment(_) => {}
            Event::DocType(_) | Event::PI(_) => return Err(malformed("Not allowed here")),
            Event::Eof => break,
        }
    }
    let mut roots = open.pop().filter(|_| open.is_empty()).unwrap_or_default().children;
    let root = roots.pop().filter(|_| roots.is_empty());
    root.ok_or_else(|| malformed("The XML is not well formed"))
}

fn element(start: &quick_xml::events::BytesStart<'_>) -> Result<Element, Refusal> {
    let name = start.name().as_ref().to_string();
    let mut namespace = None;
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| malformed("Invalid attribute"))?;
        if attribute.key.as_ref() != "xmlns" {
            return Err(malformed("Unexpected attribute"));
        }
        namespace = Some(attribute.value.to_string());
    }
    Ok(Element { name, namespace, ..Element::default() })
}

fn decode(
    element: &Element,
    shape: &Shape,
    path: &mut Vec<String>,
    broken: &mut Vec<String>,
) -> Result<Value, Refusal> {
    match shape {
        Shape::Struct(members) => members_of(element, members, path, broken),
        Shape::List(name, inner, min, max) => {
            let mut items = Vec::new();
            for (index, child) in element.children.iter().enumerate() {
                if child.name != *name {
                    return Err(malformed(&format!("Unexpected element '{}'", child.name)));
                }
                path.push(format!("{}.member", index + 1));
                items.push(decode(child, inner, path, broken)?);
                path.pop();
            }
            if items.len() < *min || items.len() > *max {
                let why = format!("Member must have length between {min} and {max}");
                broken.push(failed("[...]", path, &why));
            }
            Ok(items.into())
        }
        _ if !element.children.is_empty() => Err(malformed("Unexpected element in a value")),
        _ => {
            let (value, why) = scalar(&element.text, shape)?;
            broken.extend(why.map(|why| failed(&element.text, path, &why)));
            Ok(value)
        }
    }
}

fn members_of(
    element: &Element,
    members: &[Member],
    path: &mut Vec<String>,
    broken: &mut Vec<String>,
) -> Result<Value, Refusal> {
    let mut values = Map::new();
    for child in &element.children {
        let known = members.iter().find(|member| member.name == child.name);
        let Some(member) = known.filter(|member| !values.contains_key(member.name)) else {
            return Err(malformed(&format!("Unexpected element '{}'", child.name)));
        };
        path.push(first_lower(&child.name));
        values.insert(child.name.clone(), decode(child, member.shape, path, broken)?);
        path.pop();
    }
    for member in members.iter().filter(|member| member.required) {
        if !values.contains_key(member.name) {
            path.push(first_lower(member.name));
            broken.push(failed("null", path, "Member must not be null"));
            path.pop();
        }
    }
    Ok(values.into())
}

fn first_lower(name: &str) -> String {
    if name.chars().all(char::is_uppercase) {
        return name.to_lowercase();
    }
    name[..1].to_lowercase() + &name[1..]
}

fn failed(value: &str, path: &[String], why: &str) -> String {
    let at = path.join(".");
    format!("Value '{value}' at '{at}' failed to satisfy constraint: {why}")
}

/// The value, and the constraint that it breaks.
fn scalar(text: &str, shape: &Shape) -> Result<(Value, Option<String>), Refusal> {
    Ok(match shape {
        Shape::Number(min, max) => {
            let number: i64 = text.parse().map_err(|_| malformed("Not a number"))?;
            let why = if number < *min {
                Some(format!("Member must have value greater than or equal to {min}"))
            } else if number > *max {
                Some(format!("Member must have value less than or equal to {max}"))
            } else {
                None
            };
            (number.into(), why)
        }
        Shape::Flag => match text {
            "true" => (true.into(), None),
            "false" => (false.into(), None),
            _ => return Err(malformed("Not a boolean")),
        },
        _ => (text.into(), constraint(text, shape)),
    })
}

/// What constraint of a shape a text breaks.
pub(crate) fn constraint(text: &str, shape: &Shape) -> Option<String> {
    let length = text.chars().count();
    match shape {
        Shape::Text(_, max) | Shape::Pattern(max, ..) if length > *max => {
            Some(format!("Member must have length less than or equal to {max}"))
        }
        Shape::Text(min, _) if length < *min => {
            Some(format!("Member must have length greater than or equal to {min}"))
        }
        Shape::Pattern(_, fits, pattern) if !fits(text) => {
            Some(format!("Member must satisfy regular expression pattern: {pattern}"))
        }
        Shape::Enum(known) if !known.contains(&text) => {
            Some(format!("Member must satisfy enum value set: [{}]", known.join(", ")))
        }
        _ => None,
    }
}

/// An answer's body. Panics where the value has what the shape has not: the double must not lie.
pub(crate) fn write(root: &str, shape: &Shape, value: &Value) -> String {
    let inner = encode(shape, value);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <{root} xmlns=\"{NAMESPACE}\">{inner}</{root}>"
    )
}

fn encode(shape: &Shape, value: &Value) -> String {
    match (shape, value) {
        (Shape::Struct(members), Value::Object(map)) => {
            let known = |name: &String| members.iter().any(|member| member.name == name);
            assert!(map.keys().all(known), "{map:?} has members that its shape has not");
            let present = members.iter().filter_map(|member| {
                let value = map.get(member.name).filter(|value| !value.is_null());
                assert!(value.is_some() || !member.required, "{map:?} lacks {}", member.name);
                Some(tagged(member.name, &encode(member.shape, value?)))
            });
            present.collect()
        }
        (Shape::List(name, inner, ..), Value::Array(items)) => {
            items.iter().map(|item| tagged(name, &encode(inner, item))).collect()
        }
        (Shape::Number(..), Value::Number(number)) => number.to_string(),
        (Shape::Flag, Value::Bool(flag)) => flag.to_string(),
        (_, Value::String(text)) => {
            assert_eq!(constraint(text, shape), None, "{text:?}");
            escape::escape(text.as_str()).into_owned()
        }
        _ => panic!("{value} is not {shape:?}"),
    }
}

pub(crate) fn tagged(name: &str, inner: &str) -> String {
    format!("<{name}>{inner}</{name}>")
}
