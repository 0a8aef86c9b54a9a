"""The official Python client, in both lives of the protocol: python client.py URL"""

import asyncio
import sys

from mcp import Client


async def main() -> None:
    for mode in ("legacy", "2026-07-28", "auto"):
        async with Client(sys.argv[1], mode=mode) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            assert "test_simple_text" in names, names
            said = await client.call_tool("test_simple_text", {})
            assert said.structured_content["said"] == "This is a simple text response for testing.", said
            failed = await client.call_tool("test_error_handling", {})
            assert failed.is_error, failed
            strange = await client.call_tool("test_simple_text", {"more": 1})
            assert strange.is_error, strange
            page = await client.read_resource("test://template/7/data")
            assert "Data for ID: 7" in page.contents[0].text, page
            prompt = await client.get_prompt("test_simple_prompt")
            assert len(prompt.messages) == 1, prompt
    print("ok")


asyncio.run(main())
