"""The Python package nostr-sdk, which is rust-nostr. The conversation with the driver is that of line.mjs."""

import asyncio
import json
import sys
from datetime import timedelta

from nostr_sdk import (
    ClientBuilder,
    EventBuilder,
    EventId,
    Filter,
    Keys,
    Kind,
    NegentropyItem,
    PublicKey,
    RelayUrl,
    ReqTarget,
    SecretKey,
    SignerAuthenticator,
    SyncDirection,
    SyncOptions,
    Tag,
    Timestamp,
    nip17_make_private_msg,
    uniffi_set_event_loop,
)


def say(**line):
    print(json.dumps(line), flush=True)


class Person:
    def __init__(self, url, secret):
        self.keys = Keys(SecretKey.parse(secret))
        self.url = RelayUrl.parse(url)
        self.client = ClientBuilder().authenticator(SignerAuthenticator(self.keys)).build()
        self.names = {}

    async def open(self):
        await self.client.add_relay(self.url)
        await self.client.connect()
        self.hearing = asyncio.create_task(self.hear(self.client.notifications()))

    async def hear(self, notifications):
        while (notification := await notifications.next()) is not None:
            if notification.is_message():
                message = notification.message.as_enum()
                if message.is_event_msg() and message.subscription_id in self.names:
                    say(name=self.names[message.subscription_id], event=message.event.id().to_hex())

    async def send(self, to, text):
        return await self.publish(nip17_make_private_msg(self.keys, PublicKey.parse(to), text))

    async def write(self, to, text):
        return await self.publish(self.sign(4, text, [["p", to]]))

    async def remove(self, ids):
        await self.publish(self.sign(5, "", [["e", id] for id in ids] + [["k", "1059"]]))

    async def listen(self, filters, name):
        target = ReqTarget.auto([Filter.from_json(json.dumps(filter)) for filter in filters])
        self.names[name] = name
        await self.client.subscribe(target, id=name)

    async def count(self, filter):
        relay = await self.client.relay(self.url)
        return await relay.count_events(Filter.from_json(json.dumps(filter)), timedelta(seconds=10))

    async def reconcile(self, filter, events):
        relay = await self.client.relay(self.url)
        items = [
            NegentropyItem(id=EventId.parse(event["id"]), timestamp=Timestamp.from_secs(event["created_at"]))
            for event in events
        ]
        opts = SyncOptions().direction(SyncDirection.BOTH).dry_run()
        found = await relay.sync(Filter.from_json(json.dumps(filter)), items=items, opts=opts)
        return {
            "need": [id.to_hex() for id in found.remote],
            "have": [id.to_hex() for id in found.local],
        }

    def sign(self, kind, content, tags):
        return EventBuilder(Kind(kind), content).tags([Tag.parse(tag) for tag in tags]).finalize(self.keys)

    async def publish(self, event):
        sent = await self.client.send_event(event)
        if sent.failed:
            raise RuntimeError(next(iter(sent.failed.values())))
        return sent.id.to_hex()


async def main():
    people = {}

    async def answer(number, order, **given):
        who = given.pop("as")
        try:
            if order == "open":
                people[who] = Person(**given)
            say(number=number, answer=await getattr(people[who], order)(**({} if order == "open" else given)))
        except Exception as error:
            say(number=number, refused=str(error))

    loop = asyncio.get_running_loop()
    uniffi_set_event_loop(loop)
    reader = asyncio.StreamReader(limit=1 << 26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    say(ready=True)
    answering = set()
    while line := await reader.readline():
        answering.add(asyncio.create_task(answer(**json.loads(line))))


asyncio.run(main())
