//! Where regions and countries lie, as roughly as routing by distance needs it.

/// Latitude and longitude, in degrees.
type Point = (f64, f64);

pub(crate) fn country(code: &str) -> Point {
    match code {
        "DE" => (51.2, 10.4),
        "JP" => (36.2, 138.3),
        _ => (39.8, -98.6),
    }
}

pub(crate) fn continent(country: &str) -> Option<&'static str> {
    match country {
        "DE" => Some("EU"),
        "US" => Some("NA"),
        "JP" => Some("AS"),
        _ => None,
    }
}

/// Where a region lies; on the Atlantic's west where it is not known.
pub(crate) fn region(name: &str) -> Point {
    let known = REGIONS.iter().find(|(region, _)| *region == name);
    known.map_or((38.9, -77.4), |(_, point)| *point)
}

/// On the Earth's surface, in kilometres.
pub(crate) fn distance(one: Point, other: Point) -> f64 {
    let radians = |point: Point| (point.0.to_radians(), point.1.to_radians());
    let ((lat1, lon1), (lat2, lon2)) = (radians(one), radians(other));
    let across = ((lat2 - lat1) / 2.0).sin().powi(2);
    let along = lat1.cos() * lat2.cos() * ((lon2 - lon1) / 2.0).sin().powi(2);
    2.0 * 6_371.0 * (across + along).sqrt().asin()
}

const REGIONS: &[(&str, Point)] = &[
    ("us-east-1", (38.9, -77.4)),
    ("us-east-2", (40.0, -83.0)),
    ("us-west-1", (37.4, -122.0)),
    ("us-west-2", (45.8, -119.7)),
    ("us-gov-east-1", (40.0, -83.0)),
    ("us-gov-west-1", (45.8, -119.7)),
    ("ca-central-1", (45.5, -73.6)),
    ("ca-west-1", (51.0, -114.1)),
    ("mx-central-1", (20.6, -100.4)),
    ("sa-east-1", (-23.5, -46.6)),
    ("eu-west-1", (53.3, -6.3)),
    ("eu-west-2", (51.5, -0.1)),
    ("eu-west-3", (48.9, 2.4)),
    ("eu-central-1", (50.1, 8.7)),
    ("eu-central-2", (47.4, 8.5)),
    ("eu-north-1", (59.3, 18.1)),
    ("eu-south-1", (45.5, 9.2)),
    ("eu-south-2", (41.6, -0.9)),
    ("eusc-de-east-1", (52.4, 13.1)),
    ("af-south-1", (-33.9, 18.4)),
    ("me-south-1", (26.1, 50.6)),
    ("me-central-1", (24.5, 54.4)),
    ("il-central-1", (32.1, 34.8)),
    ("ap-south-1", (19.1, 72.9)),
    ("ap-south-2", (17.4, 78.5)),
    ("ap-east-1", (22.3, 114.2)),
    ("ap-east-2", (25.0, 121.5)),
    ("ap-northeast-1", (35.7, 139.7)),
    ("ap-northeast-2", (37.6, 127.0)),
    ("ap-northeast-3", (34.7, 135.5)),
    ("ap-southeast-1", (1.4, 103.8)),
    ("ap-southeast-2", (-33.9, 151.2)),
    ("ap-southeast-3", (-6.2, 106.8)),
    ("ap-southeast-4", (-37.8, 145.0)),
    ("ap-southeast-5", (3.1, 101.7)),
    ("ap-southeast-6", (-36.8, 174.8)),
    ("ap-southeast-7", (13.8, 100.5)),
    ("cn-north-1", (39.9, 116.4)),
    ("cn-northwest-1", (37.5, 105.2)),
];
