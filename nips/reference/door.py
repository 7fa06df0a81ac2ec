"""The relay of relay.py with dead drops over HTTP, from the text of NIP-DH (../DH.md)."""

import argparse
import asyncio
import base64
import json
import time
from typing import Any

from aiohttp import web
from bech32 import bech32_encode, convertbits

from relay import ACKNOWLEDGEMENT, CORS, DELETION, EPHEMERAL_WRAP, FOREVER, MESSAGE, WRAP
from relay import Event, Relay, compact, main, parsed, values, verified

HTTP_AUTH = 27235
AUTH_SECONDS = 60  # how far the time of an authorization may be off (NIP-98)
POLL_SECONDS, MAX_WAIT_SECONDS = 0.2, 60

STATUS = {  # by the prefix or the end of a reason
    "is full": 507,
    "is too large": 413,
    "invalid:": 400,
    "blocked:": 403,
    "restricted:": 403,
    "pow:": 422,
    "rate-limited:": 429,
    "error:": 503,
}
# Of one box, what is behind a cursor; as many rows as are asked for.
PAGE = """
SELECT event FROM drops WHERE recipient = ? AND held_until > ? AND (-created_at, id) > (?, ?)
ORDER BY created_at DESC, id LIMIT ?
"""


def status(event: Any, accepted: bool, reason: str) -> int:
    if not accepted:
        return next(STATUS[part] for part in STATUS if part in reason)
    if event["kind"] == EPHEMERAL_WRAP:
        return 202
    return 201 if event["kind"] in (MESSAGE, WRAP) and not reason else 200


class Door(Relay):
    """What comes over HTTP passes the same checks, and gets the same answers."""

    def __init__(self, settings: argparse.Namespace) -> None:
        super().__init__(settings)
        self.roots = [url.partition("://")[2].rstrip("/") for url in settings.url]
        self.app.on_response_prepare.append(self.allow_pages)
        self.app.router.add_post("/drop", self.drop)
        self.app.router.add_post("/ack", self.ack)
        self.app.router.add_get("/pickup/{key}", self.pickup)
        self.app.router.add_get("/pickup/{key}/count", self.count)
        self.app.router.add_route("OPTIONS", "/{path:.*}", self.options)

    def document(self) -> dict[str, Any]:
        document = super().document()
        document["supported_nips"].append(98)
        document["dead_drop"]["http"] = True
        return document

    async def allow_pages(self, _: web.Request, response: web.StreamResponse) -> None:
        exposed = "Dead-Drop-Cursor, Dead-Drop-Finished"
        response.headers.update({**CORS, "Access-Control-Expose-Headers": exposed})
        # A star does not stand for this one.
        response.headers["Access-Control-Allow-Headers"] = "*, Authorization"

    async def options(self, _: web.Request) -> web.Response:
        """What a page asks before it asks with an authorization."""
        return web.Response(status=204)

    async def drop(self, request: web.Request) -> web.Response:
        event = parsed(await request.read())
        return self.answer(event, *self.publish(event))

    async def ack(self, request: web.Request) -> web.Response:
        event = parsed(await request.read())
        if isinstance(event, dict) and event.get("kind") in (ACKNOWLEDGEMENT, DELETION):
            return self.answer(event, *self.publish(event))
        return self.answer(event, False, "invalid: not an acknowledgement")

    def answer(self, event: Any, accepted: bool, reason: str) -> web.Response:
        id = event.get("id") if isinstance(event, dict) else None
        told = {"id": str(id or ""), "accepted": accepted, "reason": reason}
        return web.json_response(told, status=status(event, accepted, reason))

    def recipient(self, request: web.Request) -> str:
        """Whose box is read, by its owner. "Without it the status is `401`, and with another key
        than the recipient's `403`, whatever the box holds."
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        urls = [root + request.raw_path for root in self.roots]
        try:
            event = verified(parsed(base64.b64decode(token)))
        except ValueError:
            event = None
        if (
            scheme != "Nostr"
            or event is None
            or event["kind"] != HTTP_AUTH
            or abs(event["created_at"] - time.time()) > AUTH_SECONDS
            or not any(url.partition("://")[2] in urls for url in values(event, "u")[:1])
            or values(event, "method")[:1] != [request.method]
        ):
            raise web.HTTPUnauthorized
        key = event["pubkey"]
        npub = bech32_encode("npub", convertbits(bytes.fromhex(key), 8, 5) or [])
        if request.match_info["key"] not in (key, npub):
            raise web.HTTPForbidden
        return key

    def page(self, key: str, after: tuple[int, str], most: int) -> tuple[list[Event], bool]:
        """At most so many drops, and whether these are all."""
        rows = self.db.execute(PAGE, (key, int(time.time()), *after, most + 1)).fetchall()
        return [json.loads(text) for (text,) in rows[:most]], len(rows) <= most

    async def pickup(self, request: web.Request) -> web.Response:
        key, query = self.recipient(request), request.query
        try:
            limit, wait = int(query.get("limit", FOREVER)), float(query.get("wait", 0))
            created_at, _, id = query.get("cursor", f"{FOREVER}.").partition(".")
            after = (-max(0, min(int(created_at), FOREVER)), id)
        except ValueError as error:
            raise web.HTTPBadRequest from error
        most = max(0, min(limit, self.settings.max_limit))
        end = time.monotonic() + min(wait, MAX_WAIT_SECONDS)
        drops, is_whole = self.page(key, after, most)
        while not drops and is_whole and time.monotonic() < end:
            await asyncio.sleep(POLL_SECONDS)
            drops, is_whole = self.page(key, after, most)
        headers = {"Dead-Drop-Finished": str(is_whole).lower()}
        if drops:
            headers["Dead-Drop-Cursor"] = f"{drops[-1]['created_at']}.{drops[-1]['id']}"
        text = "".join(compact(drop) + "\n" for drop in drops)
        return web.Response(text=text, content_type="application/x-ndjson", headers=headers)

    async def count(self, request: web.Request) -> web.Response:
        drops, _ = self.page(self.recipient(request), (-FOREVER, ""), FOREVER)
        return web.json_response({"count": len(drops)})


if __name__ == "__main__":
    main(Door)
