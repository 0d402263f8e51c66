"""An MCP server with one tool, and no library. Write yours with one."""

import json
import sys

TOOL = {
    "name": "append_line",
    "description": "Appends a line to a file of the workspace.",
    "inputSchema": {
        "type": "object",
        "properties": {"path": {"type": "string"}, "line": {"type": "string"}},
        "required": ["path", "line"],
    },
}


def append_line(path, line):
    with open(path, "a") as f:
        f.write(line + "\n")
    return f"appended to {path}"


def answer(method, params):
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "NAME", "version": "0.1.0"},
        }
    if method == "tools/list":
        return {"tools": [TOOL]}
    if method == "tools/call":
        try:
            text, failed = append_line(**params["arguments"]), False
        except (OSError, TypeError) as err:
            text, failed = str(err), True
        return {"content": [{"type": "text", "text": text}], "isError": failed}
    return {}


for request in sys.stdin:
    message = json.loads(request)
    if "id" in message and "method" in message:
        result = answer(message["method"], message.get("params", {}))
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
