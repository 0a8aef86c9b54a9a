// The official TypeScript client, in both lives of the protocol: node client.mjs URL
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import assert from "node:assert/strict";

const url = new URL(process.argv[2]);
for (const mode of ["legacy", { pin: "2026-07-28" }]) {
  const client = new Client({ name: "peer", version: "1" }, { versionNegotiation: { mode } });
  await client.connect(new StreamableHTTPClientTransport(url));
  const { tools } = await client.listTools();
  assert.ok(tools.some((tool) => tool.name === "test_simple_text"));
  const said = await client.callTool({ name: "test_simple_text", arguments: {} });
  assert.equal(said.structuredContent.said, "This is a simple text response for testing.");
  const failed = await client.callTool({ name: "test_error_handling", arguments: {} });
  assert.equal(failed.isError, true);
  const strange = await client.callTool({ name: "test_simple_text", arguments: { more: 1 } });
  assert.equal(strange.isError, true);
  const page = await client.readResource({ uri: "test://template/7/data" });
  assert.match(page.contents[0].text, /Data for ID: 7/);
  const prompt = await client.getPrompt({ name: "test_simple_prompt" });
  assert.equal(prompt.messages.length, 1);
  await client.close();
}
console.log("ok");
