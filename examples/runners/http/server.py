"""Invoices behind HTTP. `python3 server.py 8080`, then `jiggler-uring -C jiggler.yml`, both in this directory, and in a third
terminal `jiggler-uring enqueue Billing::Charge '[17, 4200]'`."""
import base64, hashlib, hmac, json, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = b"an example, not a secret"  # the line in billing.key
PAID = set()  # in a database, in the transaction of the payment


class Billing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if not self.is_signed(body):
            return self.answer(401, "this is not signed by our worker, or it is old")
        job = json.loads(body)
        order, cents = job["args"]
        if cents == 0:
            return self.answer(410, f"order {order} is free")  # pointless: the job goes
        if job["jid"] not in PAID:  # a job can come twice
            PAID.add(job["jid"])
            print(f"order {order} is charged {cents / 100:.2f}", flush=True)
        self.answer(200, "")

    def is_signed(self, body):
        sent = self.headers["webhook-timestamp"] or "0"
        signed = f"{self.headers['webhook-id']}.{sent}.".encode() + body
        right = "v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        fresh = abs(time.time() - int(sent)) < 300  # nobody sends again what they have seen
        return fresh and hmac.compare_digest(right, self.headers["webhook-signature"] or "")

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Billing)
print(f"listening on {server.server_port}", flush=True)
server.serve_forever()
