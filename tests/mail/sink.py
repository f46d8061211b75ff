"""A mail server that keeps what it gets: prints its port, then a line of JSON a message.

usage: sink.py REFUSALS    how many messages it refuses for now (451) before it takes one
"""

import json
import socket
import sys
from email import message_from_bytes, policy

from aiosmtpd.controller import Controller


class Sink:
    def __init__(self, refusals):
        self.refusals = refusals

    async def handle_DATA(self, server, session, envelope):
        if self.refusals > 0:
            self.refusals -= 1
            return "451 4.7.1 later"
        mail = message_from_bytes(envelope.content, policy=policy.default)
        told = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": str(mail["subject"]),
            "id": str(mail["message-id"]),
            "text": mail.get_content(),
        }
        print(json.dumps(told), flush=True)
        return "250 2.0.0 taken"


# the controller connects to the port it was given, so it cannot be 0
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
controller = Controller(Sink(int(sys.argv[1])), hostname="127.0.0.1", port=port)
controller.start()
print(port, flush=True)
# until whoever started it is gone
sys.stdin.read()
controller.stop()
