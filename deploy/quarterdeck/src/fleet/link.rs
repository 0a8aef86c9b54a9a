//! The uplink inside one process: an instance's port, straight into the hub. The envelopes are the same as on any wire.

use async_trait::async_trait;
use qd_hub::Hub;
use qd_team::{Uplink, UplinkError};
use qd_types::InstanceName;
use qd_wire::v1::{Ack, Envelope, Order, Report};

pub(super) struct InProcess {
    pub(super) hub: Hub,
    pub(super) instance: InstanceName,
}

#[async_trait]
impl Uplink for InProcess {
    async fn ship(&self, batch: Vec<Envelope<Report>>) -> Result<Ack, UplinkError> {
        self.hub.receive(&self.instance, batch).await.map_err(|error| UplinkError(error.to_string()))
    }

    async fn orders(&self, after: Ack) -> Result<Vec<Envelope<Order>>, UplinkError> {
        self.hub.orders(&self.instance, after).await.map_err(|error| UplinkError(error.to_string()))
    }
}
