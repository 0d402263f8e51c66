#!/usr/bin/env python3
"""The skeleton of a chat bot: connects to the kernel, lists the sessions, prints
what happens, and answers requests for approval. The standard library is enough.

    bot.py [TOKEN_FILE [ALLOWED_ACTION...]]

TOKEN_FILE holds what `astrid identity token USER` printed; without one the bot
is the owner. An action that is not named is denied.
"""
import json, os, pathlib, socket, struct, sys

home = pathlib.Path(os.environ.get("ASTRID_HOME") or pathlib.Path.home() / ".astrid")
token_file = sys.argv[1] if len(sys.argv) > 1 else home / "sessions" / "system.token"
allowed = sys.argv[2:]

connection = socket.socket(socket.AF_UNIX)
connection.connect(str(home / "sessions" / "system.sock"))


def send(value):
    """A frame is its length, big-endian, and JSON; one write each."""
    data = json.dumps(value).encode()
    connection.sendall(struct.pack(">I", len(data)) + data)


def receive(size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            sys.exit("the kernel has ended")
        data += piece
    return data


def frame():
    return json.loads(receive(struct.unpack(">I", receive(4))[0]))


def request(name, method, **params):
    payload = {"type": "raw_json", "method": method, "params": params}
    send({"topic": "astrid.v1.request." + name, "payload": payload})


token = pathlib.Path(token_file).read_text().strip()
send({"token": token, "protocol_version": 1, "client_version": "bot"})
welcome = frame()
if welcome["status"] != "ok":
    sys.exit("refused: " + welcome["reason"])
request("sessions", "sessions")
request("waiting", "approvals")


def answer(ask):
    decision = "approve" if ask["action"] in allowed else "deny"
    print("asked", ask["action"], "->", decision, flush=True)
    request("answer", "approve", request_id=ask.get("id") or ask["request_id"], decision=decision, reason="bot")


while True:
    message = frame()
    topic, payload = message["topic"], message["payload"]
    if topic.startswith("astrid.v1.response.") and payload["status"] == "Error":
        print("error", payload["data"], flush=True)
    elif topic == "astrid.v1.response.sessions":
        for s in payload["data"]:
            print("session", s["name"], s["state"], flush=True)
    elif topic == "astrid.v1.response.waiting":
        for ask in payload["data"]:
            answer(ask)
    elif topic == "astrid.v1.approval":
        answer(payload)
    elif not topic.startswith("astrid.v1.response."):
        print("message", topic, json.dumps(payload), flush=True)
