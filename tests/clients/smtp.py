"""A mail server for tests, which prints what it gets as lines of JSON and ends with its standard input.

    smtp.py MODE CERTIFICATE KEY     MODE is starttls, tls or plain (which knows neither TLS nor users)

The first line is {"port": N}. Each mail is one line, parsed by Python's own library. The user is `me`, the password `hunter2`.
What it does with a mail follows from the recipient and the subject:

    busy@...      451 to the recipient, always
    nobody@...    550 to the recipient
    REFUSE        554 to the mail itself
    LATER         451 to the mail itself
    HANG          takes the mail and never answers
    BREAK         takes the mail and breaks the connection
"""

import asyncio
import base64
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


def say(what):
    print(json.dumps(what), flush=True)


def described(envelope, session):
    mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
    parts = {"text": None, "html": None, "images": []}
    for part in mail.walk():
        kind = part.get_content_type()
        if kind == "text/plain":
            parts["text"] = part.get_content()
        elif kind == "text/html":
            parts["html"] = part.get_content()
        elif kind.startswith("image/"):
            image = {"type": kind, "id": part["Content-ID"], "disposition": part.get_content_disposition()}
            image["content"] = base64.b64encode(part.get_content()).decode()
            parts["images"].append(image)
    structure = [part.get_content_type() for part in mail.walk()]
    defects = [repr(defect) for part in mail.walk() for defect in part.defects]
    login = session.auth_data.decode() if session.auth_data else None
    headers = {name.lower(): str(value) for name, value in mail.items()}
    envelope = {"from": envelope.mail_from, "to": envelope.rcpt_tos}
    return {
        "envelope": envelope, "headers": headers, "structure": structure, "defects": defects, "login": login,
        "encrypted": session.ssl is not None or session.peer_is_encrypted, **parts,
    }


class Handler:
    def __init__(self, is_encrypted):
        self.is_encrypted = is_encrypted

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("busy@"):
            return "451 4.3.2 come again later"
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        session.peer_is_encrypted = self.is_encrypted
        mail = described(envelope, session)
        say(mail)
        subject = mail["headers"]["subject"]
        if "REFUSE" in subject:
            return "554 5.7.1 looks like spam"
        if "LATER" in subject:
            return "451 4.3.0 the disk is full"
        if "HANG" in subject:
            await asyncio.Event().wait()
        if "BREAK" in subject:
            server.transport.abort()
        return "250 2.0.0 Ok: queued as 4F1"


def authenticator(server, session, envelope, mechanism, login):
    is_right = login.login == b"me" and login.password == b"hunter2"
    return AuthResult(success=is_right, handled=is_right, auth_data=login.login)


async def main(mode, certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    common = {"hostname": "mail.example", "enable_SMTPUTF8": True}
    users = {"authenticator": authenticator, "auth_required": True}
    options = {
        "starttls": {"tls_context": context, "require_starttls": True, **users},
        # It does not see that all of the connection is encrypted.
        "tls": {"auth_require_tls": False, **users},
        "plain": {},
    }[mode]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Handler(mode == "tls"), loop=loop, **common, **options),
        "127.0.0.1",
        0,
        ssl=context if mode == "tls" else None,
    )
    say({"port": server.sockets[0].getsockname()[1]})
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main(*sys.argv[1:]))
