//! Pull an image that a person allowed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt as _;
use qd_approvals::Probe;
use qd_guard::{Approved, Call, Fault, Hints, Mutation, Plan, Spec};
use qd_types::{SpentGrant, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    engine::{Engine, is_absent},
    names::Image,
    state::{fingerprint, short},
};

impl Engine {
    /// An image that may be used here.
    pub(crate) fn image(&self, text: &str) -> Result<Image, Fault> {
        let image = Image::parse(text)?;
        if image.is_allowed(&self.config.images) {
            return Ok(image);
        }
        let way_out = match self.config.images.as_slice() {
            [] => "No image is: a person names `images` in [mcp.docker].".to_owned(),
            images => format!(
                "Take one of {}, or ask a person to add it to `images` in [mcp.docker].",
                images.join(", ")
            ),
        };
        Err(Fault::failed(format!("The image {image} is not one of those that may be used here."), way_out))
    }

    /// The digest under which an image is here, if it is.
    pub(crate) async fn digest(&self, image: &Image) -> Result<Option<String>, Fault> {
        match self.docker().await?.inspect_image(&image.reference()).await {
            Ok(found) => Ok(found.id),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.looking("image", &image.reference(), &error)),
        }
    }
}

pub(crate) struct Pull(pub(crate) Arc<Engine>);

/// An image.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Wanted {
    /// `alpine:3.22`, or `ghcr.io/acme/tool@sha256:…`.
    pub(crate) image: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Pulled {
    image: String,
    /// Its digest here.
    id: String,
}

#[async_trait]
impl Mutation for Pull {
    type Input = Wanted;
    type Output = Pulled;

    fn spec(&self) -> Spec {
        let spec = Spec::new("pull", Tier::Provision, "image.pull").described(
            "Pull an image",
            "Fetches an image from its registry, if it is among those that a person allowed.",
        );
        let hints = Hints { idempotent: true, open_world: true, ..spec.hints };
        spec.hinted(hints).within(Duration::from_secs(600))
    }

    async fn plan(&self, _: &Call, input: &Wanted) -> Result<Plan, Fault> {
        let image = self.0.image(&input.image)?;
        let here = self.0.digest(&image).await?;
        let step = match &here {
            Some(id) => format!("Fetch {image}; {} is here under that name.", short(id)),
            None => format!("Fetch {image}; nothing is here under that name."),
        };
        let fingerprint = fingerprint([&*image.reference(), here.as_deref().unwrap_or("absent")]);
        Ok(Plan { target: image.reference(), fingerprint, steps: vec![step] })
    }

    /// Twice is as once: it may always be tried again.
    async fn probe(&self, _: &str, _: &Wanted) -> Probe {
        Probe::DidNot
    }
}

#[async_trait]
impl Approved for Pull {
    async fn carry_out(&self, call: &Call, input: Wanted, _: SpentGrant) -> Result<Pulled, Fault> {
        let image = self.0.image(&input.image)?;
        let options = CreateImageOptionsBuilder::new().from_image(&image.reference()).build();
        let mut pulling = self.0.docker().await?.create_image(Some(options), None, None).boxed();
        let mut done = 0.0;
        loop {
            let told = tokio::select! {
                told = pulling.next() => told,
                () = call.cancel.cancelled() => {
                    return Err(Fault::failed(format!("Fetching {image} was stopped."), "Call it again."));
                }
            };
            let Some(told) = told else { break };
            let told = told.map_err(|error| self.0.changing(&format!("fetch {image}"), &error))?;
            if let Some(problem) = told.error_detail.and_then(|detail| detail.message) {
                let error = bollard::errors::Error::DockerStreamError { error: problem };
                return Err(self.0.changing(&format!("fetch {image}"), &error));
            }
            done += 1.0;
            call.progress.report(done, None, told.status.unwrap_or_default());
        }
        match self.0.digest(&image).await? {
            Some(id) => Ok(Pulled { image: image.reference(), id }),
            None => Err(Fault::failed(
                format!("The engine said nothing wrong, and {image} is not here."),
                "Look at the engine's log, and call it again.",
            )),
        }
    }
}
