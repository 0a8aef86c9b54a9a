//! Pictures of a third-party server: they reach the client as blocks, once, and however long a text may be.

use qd_guard::proxy::{Mapping, Pins, Proxy};
use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt as _,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult,
        PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
    },
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::{
    proxy::guarded,
    world::{World, agent},
};

/// A server of somebody else that draws.
#[derive(Clone)]
struct Painter(String);

impl ServerHandler for Painter {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let Value::Object(schema) = json!({"type": "object", "properties": {}}) else { panic!() };
        let draw = Tool::new("draw", "Draws.", schema);
        let hints = ToolAnnotations::new().read_only(true).destructive(false);
        Ok(ListToolsResult::with_all_items(vec![draw.with_annotations(hints)]))
    }

    async fn call_tool(
        &self,
        _: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let picture = ContentBlock::image(self.0.clone(), "image/png");
        Ok(CallToolResult::success(vec![ContentBlock::text("drawn"), picture]).into())
    }
}

impl Painter {
    async fn connect(&self, pins: &Pins) -> Proxy {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let painter = self.clone();
        tokio::spawn(async move { painter.serve(theirs).await.unwrap().waiting().await });
        Proxy::connect("painter", ours, pins.clone(), Mapping::default()).await.unwrap()
    }
}

#[tokio::test]
async fn a_picture_is_passed_on_as_one() {
    // Longer than any text may be.
    let painter = Painter("iVBORw0KGgo".repeat(20_000));
    let mut pins = Pins::default();
    for found in painter.connect(&pins).await.found() {
        assert!(pins.trust(&found.tool));
    }
    let (world, proxy) = (World::new().await, painter.connect(&pins).await);
    let client = world.client_of(guarded(&world, &proxy), agent("A-1.1")).await;
    let result = client.call("draw", json!({})).await;
    let blocks: Vec<&ContentBlock> = result.content.iter().collect();
    assert_eq!(blocks.len(), 2);
    assert_eq!(*blocks[1], ContentBlock::image(painter.0.clone(), "image/png"));
    let told = json!({"content": [{"type": "text", "text": "drawn"}, {"type": "image", "mimeType": "image/png"}],
        "structured": null});
    assert_eq!(result.structured_content, Some(told.clone()));
    assert_eq!(*blocks[0], ContentBlock::text(told.to_string()), "in the text only what kind it is");
}
