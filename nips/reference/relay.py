"""A relay for dead drops, from the text of NIP-DD (../DD.md) and NIP-DH (../DH.md) alone.

It has one thread and writes one event at a time: what it has answered is committed.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import os
import re
import socket
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import WSMsgType, web
from bech32 import bech32_encode, convertbits
from yarl import URL

from store import ACKNOWLEDGEMENT, DELETION, EPHEMERAL_WRAP, FOREVER, MESSAGE, SKEW, VANISH, WRAP
from store import Answer, Event, Filter, Refusal, Store
from store import compact, is_filter, matches, values, verified

AUTH, HTTP_AUTH = 22242, 27235
AUTH_SECONDS = {AUTH: 600, HTTP_AUTH: 60}  # how far their time may be off (NIP-42, NIP-98)
HOLD_SECONDS = 0.5  # how long a request waits for AUTH
SWEEP_SECONDS, POLL_SECONDS, MAX_WAIT_SECONDS = 1, 0.2, 60
MAX_UNREAD_BYTES = 16 << 20  # for a slow reader; one with more is cut off, and asks again
LIMITS = {"max_subscriptions": 20, "max_filters": 20, "max_subid_length": 64}

DEAD_DROP = {
    "max_event_bytes": 65536,
    "max_drops": 5000,
    "max_bytes": 64 << 20,
    "max_acknowledgement_ids": 1000,
    "max_early_acknowledgements": 10000,
    "max_auth_keys": 1000,
}
LIMITATION = {"max_limit": 500, "min_pow_difficulty": 0}
OTHERS = {"retention": 30 * 86400, "reserved_bytes": 64 << 20}  # of the disk, for acknowledgements


def address(url: str) -> tuple[str | None, int | None]:
    """The host and the port, also one that the scheme implies."""
    with contextlib.suppress(ValueError):
        return URL(url).host, URL(url).port
    return None, None


def is_hex(text: str) -> bool:
    return re.fullmatch("[0-9a-f]{64}", text) is not None


def parsed(text: str | bytes) -> Any:
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(text)


def id_of(event: Any) -> str:
    return str(event.get("id", "")) if isinstance(event, dict) else ""


class Relay:
    """Checks what is published, has it written, and delivers it."""

    def __init__(self, settings: argparse.Namespace) -> None:
        self.settings, self.store = settings, Store(settings)
        self.addresses = {address(url) for url in settings.url}
        self.connections: set[Connection] = set()
        ids = max(settings.max_acknowledgement_ids, settings.max_auth_keys)
        self.max_message_length = max(2 * settings.max_event_bytes, 128 * ids)
        self.takers = {kind: self.store.hold for kind in (MESSAGE, WRAP)}
        self.takers |= {kind: self.store.acknowledge for kind in (ACKNOWLEDGEMENT, DELETION)}
        self.takers |= {VANISH: self.store.vanish}
        self.takers |= {EPHEMERAL_WRAP: lambda *_: Answer(True, "", 202, is_live=True)}

    def publish(self, value: Any, kinds: set[int] | range = range(1 << 16)) -> Answer:
        """The one way in, over WebSocket and HTTP."""
        now = int(time.time())
        try:
            event = verified(value)
            if event["kind"] not in kinds:
                raise Refusal("invalid: of a kind that has no place here", 400)
            self.check(event, now)
            with self.store.db:
                answer = self.takers[event["kind"]](event, now)
        except Refusal as refusal:
            return Answer(False, *refusal.args)
        except sqlite3.OperationalError:
            return Answer(False, "error: the storage failed", 503)
        for connection in self.connections if answer.is_live else ():
            connection.offer(event)
        return answer

    def check(self, event: Event, now: int) -> None:
        """Refuses what must not be taken, whatever is held."""
        kind, settings = event["kind"], self.settings
        ids, recipients, relays = (values(event, name) for name in ("e", "p", "relay"))
        is_drop, is_ack = (
            kind in (MESSAGE, WRAP, EPHEMERAL_WRAP),
            kind in (ACKNOWLEDGEMENT, DELETION),
        )
        is_here = "ALL_RELAYS" in relays or any(address(url) in self.addresses for url in relays)
        size, work = len(compact(event).encode()), 256 - int(event["id"], 16).bit_length()
        faults = [
            (kind not in self.takers, "blocked: this relay holds dead drops alone", 403),
            (is_drop and size > settings.max_event_bytes, "invalid: the event is too large", 413),
            (is_drop and len(recipients) != 1, "invalid: a drop has exactly one p tag", 400),
            (is_drop and not all(map(is_hex, recipients)), "invalid: p is not a key in hex", 400),
            (kind == ACKNOWLEDGEMENT and not ids, "invalid: no e tag", 400),
            (is_ack and not all(map(is_hex, ids)), "invalid: an e tag is not an id in hex", 400),
            (is_ack and len(ids) > settings.max_acknowledgement_ids, "invalid: too many ids", 400),
            (kind == VANISH and not is_here, "invalid: meant for other relays", 400),
            (not is_ack and event["created_at"] > now + SKEW, "invalid: dated too far ahead", 400),
            (is_drop and now >= self.store.expiry(event), "invalid: the drop has expired", 400),
            (is_drop and work < settings.min_pow_difficulty, "pow: more work is needed", 422),
        ]
        for is_found, reason, status in faults:
            if is_found:
                raise Refusal(reason, status)

    def login(self, value: Any, kind: int, tags: dict[str, Callable[[str], bool]]) -> str:
        """The key that signed an AUTH (NIP-42) or an HTTP authorization (NIP-98)."""
        event = verified(value)
        if event["kind"] != kind or abs(event["created_at"] - time.time()) > AUTH_SECONDS[kind]:
            raise Refusal("invalid: the kind or the time is wrong", 401)
        for name, is_right in tags.items():
            if not any(map(is_right, values(event, name)[:1])):
                raise Refusal(f"invalid: {name} is wrong", 401)
        return event["pubkey"]

    def document(self) -> dict[str, Any]:
        """NIP-11"""
        now, settings = int(time.time()), vars(self.settings)
        return {
            "name": "dead drops",
            "supported_nips": [1, 9, 11, 13, 17, 40, 42, 45, 59, 62, 67, 98],
            "limitation": {
                **LIMITS,
                **{name: settings[name] for name in LIMITATION},
                "max_message_length": self.max_message_length,
                "created_at_upper_limit": SKEW,
                "restricted_writes": True,
            },
            "dead_drop": {
                **{name: settings[name] for name in DEAD_DROP},
                "kinds": [MESSAGE, WRAP],
                "retention": self.store.advertised_retention(now),
                "former_retentions": self.store.former_retentions(now),
                "http": True,
            },
        }


class Connection:
    """A WebSocket with its keys, its subscriptions, and the requests that wait for AUTH."""

    def __init__(self, relay: Relay) -> None:
        self.relay, self.challenge, self.is_challenged = relay, os.urandom(16).hex(), False
        self.socket = web.WebSocketResponse(max_msg_size=relay.max_message_length, compress=False)
        self.keys: set[str] = set()
        self.subscriptions: dict[str, list[Filter]] = {}
        self.held: dict[tuple[str, str], asyncio.Task[None]] = {}
        self.is_auth_answered = asyncio.Event()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        await self.socket.prepare(request)
        self.transport = request.transport
        self.relay.connections.add(self)
        try:
            async for message in self.socket:
                await self.take(message.data if message.type is WSMsgType.TEXT else "")
        finally:
            self.relay.connections.discard(self)
        return self.socket

    async def send(self, *message: Any) -> None:
        """Waits while the other side does not read."""
        with contextlib.suppress(ConnectionError):
            await self.socket.send_str(json.dumps(message))

    async def take(self, text: str) -> None:
        match parsed(text):
            case ["EVENT", event]:
                answer = self.relay.publish(event)
                await self.send("OK", id_of(event), answer.accepted, answer.reason)
            case ["AUTH", event]:
                answer = self.authenticate(event)
                await self.send("OK", id_of(event), answer.accepted, answer.reason)
                self.is_auth_answered.set()
            case ["REQ" | "COUNT" as verb, str(id), *filters]:
                self.close(verb, id)
                await self.request(verb, id, filters)
            case ["CLOSE", str(id)]:
                self.close("REQ", id)
            case _:
                await self.send("NOTICE", "invalid: not a message of NIP-01, 42 or 45")

    def authenticate(self, value: Any) -> Answer:
        tags = {"challenge": lambda challenge: challenge == self.challenge}
        tags["relay"] = lambda url: address(url) in self.relay.addresses
        try:
            keys = self.keys | {self.relay.login(value, AUTH, tags)}
        except Refusal as refusal:
            return Answer(False, *refusal.args)
        if len(keys) > self.relay.settings.max_auth_keys:
            return Answer(False, "restricted: too many keys on one connection", 403)
        self.keys = keys
        return Answer(True, "", 200)

    def close(self, verb: str, id: str) -> None:
        if verb == "REQ":
            self.subscriptions.pop(id, None)
        if (verb, id) in self.held:
            self.held.pop((verb, id)).cancel()

    async def request(self, verb: str, id: str, filters: list[Any]) -> None:
        """Answers, or holds what comes without a key "until AUTH is answered, or half a second"."""
        if not self.keys and not self.is_challenged:
            self.is_challenged = True
            await self.send("AUTH", self.challenge)
        if not 0 < len(id) <= LIMITS["max_subid_length"]:
            await self.send("CLOSED", id, "invalid: the id is too long or empty")
        elif not 0 < len(filters) <= LIMITS["max_filters"] or not all(map(is_filter, filters)):
            await self.send("CLOSED", id, "invalid: a malformed filter, too many or none")
        elif len(self.subscriptions) + len(self.held) >= LIMITS["max_subscriptions"]:
            await self.send("CLOSED", id, "rate-limited: too many subscriptions")
        elif self.keys:
            await self.answer(verb, id, filters)
        else:
            self.is_auth_answered.clear()
            self.held[verb, id] = asyncio.create_task(self.hold(verb, id, filters))

    async def hold(self, verb: str, id: str, filters: list[Filter]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HOLD_SECONDS):
                await self.is_auth_answered.wait()
        del self.held[verb, id]
        await self.answer(verb, id, filters)

    async def answer(self, verb: str, id: str, filters: list[Filter]) -> None:
        """To a filter without `#p` all keys are named. Those not authenticated are left out of the
        others, and the filters that then name none.
        """
        own = [{**f, "#p": [k for k in self.keys if k in f.get("#p", [k])]} for f in filters]
        own = [filter for filter in own if filter["#p"]]
        if not own:
            await self.send("AUTH", self.challenge)
            other = "restricted: drops are shown to their recipients alone"
            await self.send("CLOSED", id, other if self.keys else "auth-required: who asks?")
        elif verb == "COUNT":
            drops, _ = self.relay.store.find(own, FOREVER)
            await self.send("COUNT", id, {"count": len(drops)})
        else:
            self.subscriptions[id] = own  # nothing that comes while the rest is sent is missed
            drops, is_whole = self.relay.store.find(own, self.relay.settings.max_limit)
            for drop in drops:
                await self.send("EVENT", id, drop)
            await self.send("EOSE", id, ["finish" if is_whole else "more"])

    def offer(self, event: Event) -> None:
        """Sends what was just published on the subscriptions that it matches."""
        for id, filters in self.subscriptions.items():
            if any(matches(filter, event) for filter in filters):
                asyncio.ensure_future(self.send("EVENT", id, event))
        if self.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self.transport.abort()


class Door:
    """Dead drops over HTTP (NIP-DH)."""

    def __init__(self, relay: Relay) -> None:
        self.relay, self.find = relay, relay.store.find
        self.roots = [url.partition("://")[2].rstrip("/") for url in relay.settings.url]

    async def root(self, request: web.Request) -> web.StreamResponse:
        if "Upgrade" in request.headers:
            return await Connection(self.relay).serve(request)
        return web.json_response(self.relay.document(), content_type="application/nostr+json")

    async def drop(self, request: web.Request, **kinds: set[int]) -> web.Response:
        event = parsed(await request.read())
        accepted, reason, status, _ = self.relay.publish(event, **kinds)
        told = {"id": id_of(event), "accepted": accepted, "reason": reason}
        return web.json_response(told, status=status)

    async def ack(self, request: web.Request) -> web.Response:
        return await self.drop(request, kinds={ACKNOWLEDGEMENT, DELETION})

    def recipient(self, request: web.Request) -> str:
        """Whose box is read, by its owner: "without it the status is 401, and with another key than
        the recipient's 403".
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        urls = [root + request.raw_path for root in self.roots]
        tags = {"u": lambda url: url.partition("://")[2] in urls}
        tags["method"] = lambda method: method == request.method
        try:
            value = parsed(base64.b64decode(token if scheme == "Nostr" else ""))
            key = self.relay.login(value, HTTP_AUTH, tags)
        except (Refusal, ValueError) as error:
            raise web.HTTPUnauthorized from error
        npub = bech32_encode("npub", convertbits(bytes.fromhex(key), 8, 5))
        if request.match_info["key"] not in (key, npub):
            raise web.HTTPForbidden
        return key

    async def pickup(self, request: web.Request) -> web.Response:
        filters, query = [{"#p": [self.recipient(request)]}], request.query
        try:
            limit, wait = int(query.get("limit", FOREVER)), float(query.get("wait", 0))
            created_at, _, id = query.get("cursor", f"{FOREVER}.").partition(".")
            page = partial(self.find, filters, after=(max(0, min(int(created_at), FOREVER)), id))
        except ValueError as error:
            raise web.HTTPBadRequest from error
        most = max(0, min(limit, self.relay.settings.max_limit))
        end = time.monotonic() + min(wait, MAX_WAIT_SECONDS)
        drops, is_whole = page(most)
        while not drops and is_whole and time.monotonic() < end:
            await asyncio.sleep(POLL_SECONDS)
            drops, is_whole = page(most)
        headers = {"Dead-Drop-Finished": str(is_whole).lower()}
        if drops:
            headers["Dead-Drop-Cursor"] = f"{drops[-1]['created_at']}.{drops[-1]['id']}"
        return web.Response(text="".join(compact(drop) + "\n" for drop in drops), headers=headers)

    async def count(self, request: web.Request) -> web.Response:
        drops, _ = self.find([{"#p": [self.recipient(request)]}], FOREVER)
        return web.json_response({"count": len(drops)})

    async def allow_pages(self, _: web.Request, response: web.StreamResponse) -> None:
        """CORS, as NIP-11 wants it."""
        response.headers["Access-Control-Expose-Headers"] = "Dead-Drop-Cursor, Dead-Drop-Finished"
        for what in ("Origin", "Methods", "Headers"):
            response.headers[f"Access-Control-Allow-{what}"] = "*"


def application(relay: Relay) -> web.Application:
    async def sweep(_: web.Application) -> None:
        relay.store.sweep(int(time.time()))
        loop = asyncio.get_running_loop()
        loop.call_later(SWEEP_SECONDS, lambda: loop.create_task(sweep(app)))

    app, door = web.Application(client_max_size=relay.max_message_length), Door(relay)
    app.on_startup.append(sweep)
    app.on_response_prepare.append(door.allow_pages)
    app.router.add_get("/", door.root)
    app.router.add_post("/drop", door.drop)
    app.router.add_post("/ack", door.ack)
    app.router.add_get("/pickup/{key}", door.pickup)
    app.router.add_get("/pickup/{key}/count", door.count)
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description="A relay for dead drops.")
    parser.add_argument("--listen", default="127.0.0.1:7777", help="host:port")
    parser.add_argument("--data", default="drops.sqlite", help="the file of the database")
    parser.add_argument("--url", action="append", help="one it is known by; may be repeated")
    for name, value in {**OTHERS, **DEAD_DROP, **LIMITATION}.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    settings = parser.parse_args()
    if any(address(url)[1] is None for url in settings.url or []):
        parser.error("a URL is to begin with ws:// or wss://")
    host, _, port = settings.listen.rpartition(":")
    listener = socket.create_server((host, int(port)))
    url = "ws://{}:{}".format(*listener.getsockname())
    settings.url = settings.url or [url]
    app = application(Relay(settings))
    print(f"listening on {url}", flush=True)
    web.run_app(app, sock=listener, print=None, access_log=None, shutdown_timeout=1)


if __name__ == "__main__":
    main()
