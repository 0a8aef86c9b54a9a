//! A request, as data: a method, a path of segments, parameters. Paths are built from segments of known types only, and
//! every segment and value is percent-encoded whole.

use std::fmt::{self, Write as _};

use qd_types::Tier;

use crate::names::{NetKey, NodeName, SnapshotName, StorageId, Upid, UserId, VmId, VolumeId};

/// How something is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads; parameters stand in the query.
    Get,
    /// Makes or does; parameters stand in a form.
    Post,
    /// Changes; parameters stand in a form.
    Put,
    /// Removes; parameters stand in the query.
    Delete,
}

impl Method {
    /// As HTTP has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    /// Whether it changes nothing.
    pub fn only_reads(self) -> bool {
        self == Self::Get
    }
}

/// What may stand between two slashes.
pub(crate) trait Segment {
    /// Its place in the schema: `{node}`.
    const PLACE: &'static str;

    /// As it stands in the path, not yet encoded.
    fn text(&self) -> String;
}

macro_rules! segments {
    ($($name:ty = $place:literal),*) => {
        $(impl Segment for $name {
            const PLACE: &'static str = $place;

            fn text(&self) -> String {
                self.to_string()
            }
        })*
    };
}

segments!(
    NodeName = "{node}",
    VmId = "{vmid}",
    StorageId = "{storage}",
    SnapshotName = "{snapname}",
    VolumeId = "{volume}",
    Upid = "{upid}",
    UserId = "{userid}",
    NetKey = "{key}"
);

/// A request.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    method: Method,
    path: String,
    template: String,
    params: Vec<(String, String)>,
    tier: Tier,
}

impl fmt::Debug for Request {
    /// Without the values: some are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.path)
    }
}

impl Request {
    pub(crate) fn new(method: Method) -> Self {
        Self { method, path: String::new(), template: String::new(), params: Vec::new(), tier: Tier::Read }
    }

    /// With fixed segments: `"status/current"`.
    pub(crate) fn at(mut self, fixed: &'static str) -> Self {
        for text in [&mut self.path, &mut self.template] {
            text.push('/');
            text.push_str(fixed);
        }
        self
    }

    /// With a segment.
    pub(crate) fn of<S: Segment>(mut self, segment: &S) -> Self {
        self.path.push('/');
        self.path.push_str(&encoded(&segment.text()));
        self.template.push('/');
        self.template.push_str(S::PLACE);
        self
    }

    /// With a parameter. One that is given again is a list.
    pub(crate) fn with(mut self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.params.push((name.into(), value.to_string()));
        self
    }

    /// With a parameter, if there is one.
    pub(crate) fn maybe(self, name: impl Into<String>, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// For a tool of this tier: where the tier has a token of its own, it is sent with that.
    pub(crate) fn needing(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// The tier of the tool that it is for.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Its method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Its path below `/api2/json`, encoded.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its path as the API's schema names it: `/nodes/{node}/qemu/{vmid}/config`.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// Its parameters, not yet encoded.
    pub fn params(&self) -> &[(String, String)] {
        &self.params
    }

    /// Its parameters as a form or query.
    pub fn form(&self) -> String {
        let pairs: Vec<String> =
            self.params.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        pairs.join("&")
    }
}

/// Percent-encoded: all but letters, digits and `-._~`.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_is_made_of_segments() {
        let volume = VolumeId::parse("local:iso/x.iso").unwrap();
        let request = Request::new(Method::Delete)
            .at("nodes")
            .of(&NodeName::parse("pve1").unwrap())
            .at("content")
            .of(&volume)
            .with("a b", "c&d=e\n");
        insta::assert_snapshot!(request.path(), @"/nodes/pve1/content/local%3Aiso%2Fx.iso");
        insta::assert_snapshot!(request.template(), @"/nodes/{node}/content/{volume}");
        insta::assert_snapshot!(request.form(), @"a%20b=c%26d%3De%0A");
    }

    proptest! {
        #[test]
        fn what_is_encoded_stays_one_segment(text in "\\PC{0,40}") {
            prop_assert!(encoded(&text).bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)));
        }
    }
}
