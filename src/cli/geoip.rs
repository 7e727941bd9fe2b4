//! `meridian geoip`: where clients are taken to be, and from which database.

use super::{Output, show, table};
use crate::{
    controller::{self, geography},
    geo::{Database, Info, pack},
    model::Location,
};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use ipnet::IpNet;
use serde::Serialize;
use std::{fs, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

#[derive(Args, Debug)]
pub(super) struct GeoipArgs {
    #[command(subcommand)]
    command: GeoipCommand,
}

#[derive(Debug, Subcommand)]
enum GeoipCommand {
    /// Say where addresses are
    Lookup {
        /// The addresses
        #[arg(required = true)]
        address: Vec<IpAddr>,
        /// A database file; twice for an IPv4 and an IPv6 one. The one in the state directory when
        /// not given, else the one that is built in
        #[arg(long, value_name = "FILE")]
        database: Vec<PathBuf>,
        /// The state directory of `meridian run`
        #[arg(long, value_name = "DIR", default_value = "/var/lib/meridian")]
        state_dir: PathBuf,
        /// How to print
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Put another database in force; a running process takes it up within seconds
    Update(UpdateArgs),
    /// Say which database is in force, and how old it is
    Show {
        /// The state directory of `meridian run`
        #[arg(long, value_name = "DIR", default_value = "/var/lib/meridian")]
        state_dir: PathBuf,
        /// How to print
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Pack the countries of a database as they are built in (geoip/README.md)
    #[command(hide = true)]
    Pack {
        /// The database; twice for an IPv4 and an IPv6 one
        #[arg(required = true)]
        file: Vec<PathBuf>,
        /// What it is called
        #[arg(long)]
        name: String,
        /// Where to write it
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(Args, Debug)]
struct UpdateArgs {
    /// A URL, or dbip-country or dbip-city: DB-IP Lite of this month, CC BY 4.0, which asks for a
    /// link back to db-ip.com where its data are shown
    #[arg(long, value_name = "URL|NAME", required_unless_present = "file")]
    source: Option<String>,
    /// A file in MaxMind's format, also packed (.gz); twice for an IPv4 and an IPv6 one
    #[arg(long, value_name = "FILE", conflicts_with = "source")]
    file: Vec<PathBuf>,
    /// The state directory of `meridian run`
    #[arg(long, value_name = "DIR", default_value = "/var/lib/meridian")]
    state_dir: PathBuf,
    /// Take it even if it knows far fewer networks than the one in force
    #[arg(long)]
    force: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// One address and where it is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Located {
    address: IpAddr,
    network: Option<IpNet>,
    location: Option<Location>,
    database: String,
}

pub(super) fn run(args: &GeoipArgs) -> anyhow::Result<()> {
    match &args.command {
        GeoipCommand::Lookup { address, database, state_dir, output } => {
            let database = match database.as_slice() {
                [] => in_force(state_dir)?,
                files => Arc::new(geography::read(files)?),
            };
            let all: Vec<Located> = address.iter().map(|ip| locate(&database, *ip)).collect();
            show(&all, *output, |all| listing(all))
        }
        GeoipCommand::Update(args) => update(args),
        GeoipCommand::Show { state_dir, output } => {
            let info = in_force(state_dir)?.info().clone();
            show(&info, *output, describe)
        }
        GeoipCommand::Pack { file, name, out } => {
            let packed = pack(&geography::read(file)?, name)?;
            fs::write(out, packed).with_context(|| out.display().to_string())
        }
    }
}

fn in_force(state: &std::path::Path) -> anyhow::Result<Arc<Database>> {
    Ok(geography::load(state)?.map_or_else(Database::embedded, Arc::new))
}

fn locate(database: &Database, address: IpAddr) -> Located {
    let found = database.locate(address);
    Located {
        address,
        network: found.as_ref().map(|(_, network)| *network),
        location: found.map(|(location, _)| location.clone()),
        database: database.info().to_string(),
    }
}

fn listing(all: &[Located]) -> String {
    let row = |own: &Located| {
        let word =
            |word: Option<&Arc<str>>| word.map_or_else(|| "-".to_owned(), ToString::to_string);
        let location = own.location.as_ref();
        let point = location.and_then(|own| own.coordinates.zip(Some(own.approximate)));
        let point = point.map(|((north, east), approximate)| {
            format!("{}{north:.1},{east:.1}", if approximate { "about " } else { "" })
        });
        vec![
            own.address.to_string(),
            own.network.map_or_else(|| "-".to_owned(), |net| net.to_string()),
            word(location.and_then(|own| own.continent.as_ref())),
            word(location.and_then(|own| own.country.as_ref())),
            word(location.and_then(|own| own.subdivision.as_ref())),
            point.unwrap_or_else(|| "-".to_owned()),
            own.database.clone(),
        ]
    };
    let headings =
        ["ADDRESS", "NETWORK", "CONTINENT", "COUNTRY", "SUBDIVISION", "COORDINATES", "DATABASE"];
    table::table(&headings, &all.iter().map(row).collect::<Vec<_>>())
}

fn describe(info: &Info) -> String {
    let now = controller::now().wall;
    let age = info.built.map_or_else(|| "unknown".to_owned(), |built| table::age(built, now));
    let row = vec![
        info.name.clone(),
        info.kind.clone(),
        info.built.map_or_else(|| "-".to_owned(), |built| built.strftime("%Y-%m-%d").to_string()),
        age,
        info.v4.to_string(),
        info.v6.to_string(),
        info.places.to_string(),
    ];
    let headings = ["DATABASE", "TYPE", "BUILT", "AGE", "IPV4 RANGES", "IPV6 RANGES", "PLACES"];
    let stale =
        info.built.is_some_and(|built| now.duration_since(built).as_hours() > STALE_DAYS * 24);
    let warning = if stale {
        format!("older than {STALE_DAYS} days: `meridian geoip update` puts a newer one in force\n")
    } else {
        String::new()
    };
    table::table(&headings, &[row]) + &warning
}

/// What an update changed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Updated {
    before: Info,
    after: Info,
}

fn update(args: &UpdateArgs) -> anyhow::Result<()> {
    let files = match &args.source {
        Some(source) => vec![download(source)?],
        None => args.file.iter().map(file).collect::<anyhow::Result<_>>()?,
    };
    let after = read(&files)?;
    // What is in force may itself be broken: then anything that can be read is better.
    let before = in_force(&args.state_dir).unwrap_or_else(|_| Database::embedded());
    let (was, is) = (before.info(), after.info());
    if !args.force && (is.v4 + is.v6) * 2 < was.v4 + was.v6 {
        bail!(
            "{} knows {} ranges, {} in force knows {}: less than half; nothing was changed. Use \
             --force if that is right",
            is.name,
            is.v4 + is.v6,
            was.name,
            was.v4 + was.v6
        );
    }
    geography::install(&args.state_dir, &files)?;
    let updated = Updated { before: was.clone(), after: is.clone() };
    show(&updated, args.output, |own| {
        let stays = "a running process with this state directory takes it up within seconds";
        format!("{}before: {}\n{stays}\n", describe(&own.after), own.before)
    })
}

fn file(path: &PathBuf) -> anyhow::Result<(String, Vec<u8>)> {
    let bytes = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    named(&name.unwrap_or_default(), bytes)
}

/// Unpacked, and with a name that is found again.
fn named(name: &str, bytes: Vec<u8>) -> anyhow::Result<(String, Vec<u8>)> {
    let bytes = geography::unpacked(bytes).with_context(|| name.to_owned())?;
    let stem = name.trim_end_matches(".gz").trim_end_matches(".mmdb");
    Ok((format!("{stem}.mmdb"), bytes))
}

fn read(files: &[(String, Vec<u8>)]) -> anyhow::Result<Database> {
    let one = |(name, bytes): &(String, Vec<u8>)| {
        let database = Database::read(bytes.clone(), name);
        database.with_context(|| format!("{name} is of no use; nothing was changed"))
    };
    match files {
        [only] => one(only),
        [first, second] => Ok(one(first)?.paired(one(second)?)),
        _ => bail!("expected one --file, or an IPv4 and an IPv6 one; got {}", files.len()),
    }
}

/// Fetches a database, and says how far it is.
fn download(source: &str) -> anyhow::Result<(String, Vec<u8>)> {
    let month = controller::now().wall.strftime("%Y-%m");
    let url = match source {
        "dbip-country" => format!("{DBIP}/dbip-country-lite-{month}.mmdb.gz"),
        "dbip-city" => format!("{DBIP}/dbip-city-lite-{month}.mmdb.gz"),
        url => url.to_owned(),
    };
    let parsed = reqwest::Url::parse(&url).with_context(|| {
        format!("--source {source:?} is neither a URL nor dbip-country nor dbip-city")
    })?;
    let name = parsed.path_segments().and_then(|mut own| own.next_back()).unwrap_or_default();
    let name = if name.is_empty() { "database".to_owned() } else { name.to_owned() };
    let bytes = super::runtime()?.block_on(fetch(parsed))?;
    named(&name, bytes)
}

async fn fetch(url: reqwest::Url) -> anyhow::Result<Vec<u8>> {
    let client =
        reqwest::Client::builder().connect_timeout(CONNECT).read_timeout(SILENCE).build()?;
    let answer = client.get(url.clone()).send().await.and_then(reqwest::Response::error_for_status);
    let mut answer = answer.with_context(|| format!("{url} cannot be had; nothing was changed"))?;
    let whole = answer.content_length();
    let (mut bytes, mut told) = (Vec::new(), 0);
    while let Some(chunk) = answer.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MOST {
            bail!("{url} sends more than {MOST} octets; nothing was changed");
        }
        if bytes.len() - told >= STEP {
            told = bytes.len();
            let of = whole.map(|whole| format!(" of {}", whole >> 20)).unwrap_or_default();
            eprintln!("{}{of} MiB", told >> 20);
        }
    }
    Ok(bytes)
}

const DBIP: &str = "https://download.db-ip.com/free";
const CONNECT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(30);
/// City databases have some 150 MB.
const MOST: usize = 1 << 30;
/// From one word on progress to the next.
const STEP: usize = 16 << 20;
/// Networks move between countries at some per cent a year.
const STALE_DAYS: i64 = 90;
