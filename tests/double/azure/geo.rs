//! Where Traffic Manager takes clients to be: its geographic hierarchy, and how far its data
//! centres are.

use serde_json::{Value, json};

/// The codes that a client of that country is looked up by, the most exact first.
pub(super) fn codes(country: Option<&str>) -> Vec<&'static str> {
    let group = GROUPS.iter().find_map(|(group, _, countries)| {
        let own = countries.split(' ').find(|code| Some(*code) == country)?;
        Some([own, *group])
    });
    group.into_iter().flatten().chain(["WORLD"]).collect()
}

pub(super) fn known(code: &str) -> bool {
    code == "WORLD"
        || GROUPS.iter().any(|(group, _, countries)| {
            *group == code || countries.split(' ').any(|country| country == code)
        })
        || STATES.iter().any(|(country, states)| {
            code.strip_prefix(country)
                .and_then(|rest| rest.strip_prefix('-'))
                .is_some_and(|state| states.split(' ').any(|own| own == state))
        })
}

pub(super) fn hierarchy() -> Value {
    let states = |country: &str| -> Vec<Value> {
        let own = STATES.iter().find(|(code, _)| *code == country);
        own.into_iter()
            .flat_map(|(_, states)| states.split(' '))
            .map(
                |state| json!({"code": format!("{country}-{state}"), "name": state, "regions": []}),
            )
            .collect()
    };
    let groups: Vec<Value> = GROUPS
        .iter()
        .map(|(code, name, countries)| {
            let regions: Vec<Value> = countries
                .split(' ')
                .map(
                    |country| json!({"code": country, "name": country, "regions": states(country)}),
                )
                .collect();
            json!({"code": code, "name": name, "regions": regions})
        })
        .collect();
    json!({"code": "WORLD", "name": "World", "regions": groups})
}

/// A data centre's name without its case and blanks, if there is one of that name.
pub(super) fn location(name: &str) -> Option<&'static str> {
    let plain = name.to_ascii_lowercase().replace(' ', "");
    LOCATIONS.iter().find(|(own, ..)| *own == plain).map(|(own, ..)| *own)
}

/// How far a client is from a data centre, as the square of the chord.
pub(super) fn distance(country: Option<&str>, location: &str) -> f64 {
    let client = match country {
        Some("DE") => (51.2, 10.4),
        Some("US") => (39.8, -98.6),
        Some("JP") => (36.2, 138.3),
        _ => (0.0, 0.0),
    };
    let centre = LOCATIONS.iter().find(|(own, ..)| *own == location);
    centre.map_or(f64::MAX, |(_, lat, lon)| chord(client, (*lat, *lon)))
}

fn chord(a: (f64, f64), b: (f64, f64)) -> f64 {
    let point = |(lat, lon): (f64, f64)| {
        let (lat, lon) = (lat.to_radians(), lon.to_radians());
        [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
    };
    point(a).iter().zip(point(b)).map(|(a, b)| (a - b).powi(2)).sum()
}

const GROUPS: &[(&str, &str, &str)] = &[
    (
        "GEO-AF",
        "Africa",
        "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML MR MU MW MZ NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW",
    ),
    (
        "GEO-AS",
        "Asia",
        "AF AM AZ BD BN BT CN GE HK ID IN IO JP KG KH KP KR KZ LA LK MM MN MO MV MY NP PH PK SG TH TJ TL TM TW UZ VN",
    ),
    (
        "GEO-EU",
        "Europe",
        "AD AL AT AX BA BE BG BY CH CY CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD ME MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK",
    ),
    ("GEO-ME", "Middle East", "AE BH IL IQ IR JO KW LB OM PS QA SA SY TR YE"),
    (
        "GEO-NA",
        "North America / Central America / Caribbean",
        "AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI PA PM PR SV SX TC TT US VC VG VI",
    ),
    ("GEO-SA", "South America", "AR BO BR CL CO EC FK GF GS GY PE PY SR UY VE"),
    (
        "GEO-AP",
        "Australia / Pacific",
        "AS AU CC CK CX FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TO TV UM VU WF WS",
    ),
];
const STATES: &[(&str, &str)] = &[
    (
        "US",
        "AK AL AR AZ CA CO CT DC DE FL GA HI IA ID IL IN KS KY LA MA MD ME MI MN MO MS MT NC ND NE NH NJ NM NV NY OH OK OR PA RI SC SD TN TX UT VA VT WA WI WV WY",
    ),
    ("CA", "AB BC MB NB NL NS NT NU ON PE QC SK YT"),
    ("AU", "ACT NSW NT QLD SA TAS VIC WA"),
    ("GB", "ENG NIR SCT WLS"),
];
/// Latitude and longitude, in degrees.
const LOCATIONS: &[(&str, f64, f64)] = &[
    ("australiacentral", -35.3, 149.1),
    ("australiaeast", -33.9, 151.2),
    ("australiasoutheast", -37.8, 145.0),
    ("brazilsouth", -23.6, -46.6),
    ("canadacentral", 43.7, -79.4),
    ("canadaeast", 46.8, -71.2),
    ("centralindia", 18.6, 73.9),
    ("centralus", 41.6, -93.6),
    ("eastasia", 22.3, 114.2),
    ("eastus", 37.4, -79.8),
    ("eastus2", 36.7, -78.4),
    ("francecentral", 46.4, 2.4),
    ("germanynorth", 53.1, 8.8),
    ("germanywestcentral", 50.1, 8.7),
    ("israelcentral", 31.3, 33.5),
    ("italynorth", 45.5, 9.2),
    ("japaneast", 35.7, 139.8),
    ("japanwest", 34.7, 135.5),
    ("koreacentral", 37.6, 127.0),
    ("koreasouth", 35.2, 129.1),
    ("mexicocentral", 20.6, -100.4),
    ("northcentralus", 41.9, -87.6),
    ("northeurope", 53.3, -6.3),
    ("norwayeast", 59.9, 10.8),
    ("polandcentral", 52.2, 21.0),
    ("qatarcentral", 25.6, 51.4),
    ("southafricanorth", -25.7, 28.2),
    ("southcentralus", 29.4, -98.5),
    ("southeastasia", 1.3, 103.8),
    ("southindia", 13.0, 80.2),
    ("spaincentral", 40.4, -3.7),
    ("swedencentral", 60.7, 17.1),
    ("switzerlandnorth", 47.5, 8.6),
    ("uaenorth", 25.3, 55.3),
    ("uksouth", 50.9, -0.8),
    ("ukwest", 53.4, -3.1),
    ("westcentralus", 40.9, -110.2),
    ("westeurope", 52.4, 4.9),
    ("westindia", 19.1, 72.9),
    ("westus", 37.8, -122.4),
    ("westus2", 47.2, -119.9),
    ("westus3", 33.4, -112.1),
];
