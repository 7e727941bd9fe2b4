//! What calls are answered with: the forms of Azure DNS, of Traffic Manager and of the Resource
//! Manager in front of both.

use super::world::scope;
use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use serde_json::{Value, json};

/// A call that was carried out.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Option<Value>,
}

impl Reply {
    pub(super) fn ok(body: Value) -> Result<Self, Refused> {
        Ok(Self { status: 200, body: Some(body) })
    }

    /// 201 for what was made, 200 for what was there.
    pub(super) fn made(new: bool, body: Value) -> Result<Self, Refused> {
        Ok(Self { status: if new { 201 } else { 200 }, body: Some(body) })
    }

    pub(super) fn empty(status: u16) -> Result<Self, Refused> {
        Ok(Self { status, body: None })
    }

    pub(super) fn response(self) -> Response<Body> {
        let Some(body) = self.body else {
            return Response::builder()
                .status(StatusCode::from_u16(self.status).unwrap())
                .body(Body::empty())
                .unwrap();
        };
        let mut response = written(self.status, &body);
        if let Some(etag) = body.get("etag").and_then(Value::as_str) {
            response.headers_mut().insert("etag", etag.parse().unwrap());
        }
        response
    }
}

/// A call that was refused, in the words of the part that refuses it.
#[derive(Debug)]
pub(super) struct Refused {
    status: u16,
    body: Value,
    headers: Vec<(&'static str, String)>,
}

impl Refused {
    /// Azure DNS has code and message at the top of the body.
    pub(super) fn dns(status: u16, code: &str, message: impl Into<String>) -> Self {
        let body = json!({"code": code, "message": message.into()});
        Self { status, body, headers: Vec::new() }
    }

    /// The Resource Manager and Traffic Manager have them within `error`.
    pub(super) fn arm(status: u16, code: &str, message: impl Into<String>) -> Self {
        let body = json!({"error": {"code": code, "message": message.into()}});
        Self { status, body, headers: Vec::new() }
    }

    /// The token endpoint has OAuth's form, with the number of the error.
    pub(super) fn token(status: u16, error: &str, number: u32, message: &str) -> Self {
        let body = json!({
            "error": error,
            "error_description": format!(
                "AADSTS{number}: {message} Trace ID: {NIL} Correlation ID: {NIL} Timestamp: {AT}"
            ),
            "error_codes": [number],
            "timestamp": AT,
            "trace_id": NIL,
            "correlation_id": NIL,
            "error_uri": format!("https://login.microsoftonline.com/error?code={number}"),
        });
        Self { status, body, headers: Vec::new() }
    }

    /// The machine's own endpoint has OAuth's form without numbers.
    pub(super) fn metadata(status: u16, error: &str, message: &str) -> Self {
        let body = json!({"error": error, "error_description": message});
        Self { status, body, headers: Vec::new() }
    }

    /// What is to be within another resource, which is not there.
    pub(super) fn orphan(verb: &str, kind: &str, parent: &str) -> Self {
        let message = format!(
            "Failed to perform '{verb}' on resource(s) of type '{kind}', because the parent resource '{}/{parent}' could not be found.",
            scope()
        );
        Self::arm(404, "ParentResourceNotFound", message)
    }

    /// A bad value of a Traffic Manager's field.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::arm(400, "BadRequest", message)
    }

    pub(super) fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }

    pub(super) fn parts(&self) -> (u16, Option<Value>) {
        (self.status, Some(self.body.clone()))
    }

    pub(super) fn response(self) -> Response<Body> {
        let mut response = written(self.status, &self.body);
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        response
    }
}

fn written(status: u16, body: &Value) -> Response<Body> {
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header("content-type", "application/json; charset=utf-8")
        .header("cache-control", "private")
        .header("x-ms-request-id", NIL)
        .body(Body::from(body.to_string()))
        .unwrap()
}

const NIL: &str = "00000000-0000-0000-0000-000000000000";
const AT: &str = "2026-01-01 00:00:00Z";
