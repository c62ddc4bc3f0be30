"""Mail, the web, mark-up."""


def use_email():
    import email
    import email.message
    import email.policy
    import email.utils
    message = email.message.EmailMessage()
    message["Subject"] = "Grüße"
    message["From"] = "Äa <a@example.org>"
    message["To"] = "b@example.org"
    message.set_content("Hällo\n")
    message.add_attachment(b"data", maintype="application", subtype="x", filename="f")
    message.set_boundary("px")
    text = message.as_bytes()
    again = email.message_from_bytes(text, policy=email.policy.default)
    old = email.message_from_string("Subject: =?utf-8?q?p=C3=BC?=\n\nbody")
    return (text, str(again["subject"]), again["from"].addresses[0].username,
            again.get_body().get_content(), [p.get_filename() for p in again.walk()],
            email.utils.parseaddr("A <a@b>"), str(old["subject"]),
            email.utils.formatdate(0), email.utils.parsedate_to_datetime(
                "Thu, 01 Jan 1970 00:00:00 +0000").isoformat())


def use_email_mime():
    from email.header import Header, decode_header
    from email.mime.multipart import MIMEMultipart
    from email.mime.text import MIMEText
    message = MIMEMultipart(boundary="px")
    message["Subject"] = Header("Grüße", "utf-8")
    message.attach(MIMEText("Hällo", "plain", "utf-8"))
    return message.as_string(), decode_header("=?iso-8859-1?q?p=FC?=")


def use_html():
    import html
    import html.parser
    tags = []

    class Parser(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append((tag, attrs))

        def handle_data(self, data):
            tags.append(data)
    Parser().feed("<p class='x'>a &amp; b<br></p>")
    return html.escape("<a>"), html.unescape("&lt;&#228;&hellip;"), tags


def use_http():
    import http
    import http.client
    import http.cookies
    import io
    import socket
    cookie = http.cookies.SimpleCookie("a=1; b=2")
    cookie["c"] = "x"
    cookie["c"]["max-age"] = 3
    mine, other = socket.socketpair()
    with mine, other:
        other.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\npx")
        connection = http.client.HTTPConnection("example.org")
        connection.sock = mine
        connection.request("POST", "/x", "body", {"A": "b"})
        response = connection.getresponse()
        asked = other.recv(1000)
        headers = http.client.parse_headers(io.BytesIO(b"A: b\r\n\r\n"))
        return (response.read(), response.status, response.headers["x"], asked,
                headers["a"], cookie.output(), http.HTTPStatus(404).phrase)


def use_http_server():
    import http.cookiejar
    import http.server
    import select
    import socket
    import urllib.request

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"px")

        def log_message(self, *args):
            pass

        def version_string(self):
            return "px"
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server, \
            socket.create_connection(server.server_address) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        server.handle_request()
        answer = b""
        while part := client.recv(1000):
            answer += part
    request = urllib.request.Request("http://example.org/")
    http.cookiejar.CookieJar().add_cookie_header(request)
    return (answer.startswith(b"HTTP/1.0 200"), answer.endswith(b"px"), request.host,
            http.server.nobody_uid() == http.server.nobody)


def use_imaplib():
    import imaplib

    class Box(imaplib.IMAP4):
        capabilities = "XPX",
        state = "AUTH"

        def __init__(self):
            pass

        def _simple_command(self, name, *args):
            return name, imaplib.Commands[name]
    return Box().xatom("xpx"), "XPX" in imaplib.Commands


def use_mailbox():
    import mailbox
    import os
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        box = mailbox.mbox(os.path.join(folder, "box"))
        box.add("Subject: px\n\nbody\n")
        box.flush()
        subjects = [message["subject"] for message in box]
        box.close()
    return subjects


def use_mimetypes():
    import mimetypes
    mimetypes.add_type("text/px", ".px")
    return (mimetypes.guess_type("a.html")[0], mimetypes.guess_type("a.px")[0],
            mimetypes.guess_extension("image/png"))


def use_netrc():
    import netrc
    import os
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "netrc")
        with open(path, "w") as file:
            file.write("machine px login a password b\n")
        return netrc.netrc(path).authenticators("px")


def use_socketserver():
    import socket
    import socketserver

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(self.rfile.readline().upper())
    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server, \
            socket.create_connection(server.server_address) as client:
        client.sendall(b"px\n")
        server.handle_request()
        return client.recv(10), socket.gethostbyname("127.0.0.1")


def use_ssl():
    import ssl
    context = ssl.create_default_context()
    return (context.check_hostname, context.verify_mode.name,
            ssl.PROTOCOL_TLS_CLIENT.name, ssl.OPENSSL_VERSION != "")


def use_urllib():
    import urllib.parse
    import urllib.request
    import urllib.robotparser
    parts = urllib.parse.urlsplit("http://u:p@example.org:80/a;b?c=d&c=e#f")
    robots = urllib.robotparser.RobotFileParser()
    robots.parse(["User-agent: *", "Disallow: /x"])
    request = urllib.request.Request("http://example.org/x", method="PUT")
    return (parts[:], parts.port, urllib.parse.parse_qs(parts.query),
            urllib.parse.urljoin("http://a/b/c", "../d"),
            urllib.parse.urlencode({"a": "ä b", "c": [1, 2]}, doseq=True),
            urllib.parse.quote("ä/ü x", safe=""), urllib.parse.unquote_plus("%C3%A4+b"),
            robots.can_fetch("px", "/x"), request.get_method(),
            urllib.request.urlopen("data:text/plain,px").read())


def use_urlretrieve():
    import os
    import urllib.request
    path, headers = urllib.request.urlretrieve("data:text/plain,px")
    with open(path) as file:
        text = file.read()
    urllib.request.urlcleanup()
    return text, headers["Content-Type"], os.path.exists(path)


def use_webbrowser():
    import webbrowser
    opened = []

    class Browser(webbrowser.BaseBrowser):
        def open(self, url, new=0, autoraise=True):
            opened.append(url)
            return True
    webbrowser.register("px", Browser, preferred=True)
    return (webbrowser.open("http://example.org/"), opened,
            type(webbrowser.get("px")).__name__)


def use_xml_dom():
    import xml.dom.minidom
    document = xml.dom.minidom.parseString("<a x='1'><b>t</b><!-- c --></a>")
    element = document.createElement("c")
    document.documentElement.appendChild(element)
    return (document.toxml(), document.getElementsByTagName("b")[0].firstChild.data,
            document.toprettyxml(" "))


def use_xml_dom_registry():
    import xml.dom
    xml.dom.registerDOMImplementation("px", lambda: "made")
    return (xml.dom.getDOMImplementation("px"),
            xml.dom.getDOMImplementation("minidom").hasFeature("core", None))


def use_xml_etree():
    import io
    import xml.etree.ElementTree as ET
    ET.register_namespace("px", "http://example.org/px")
    root = ET.fromstring("<a xmlns:n='http://example.org/px'><b i='1'><c>t</c></b>"
                         "<b i='2'><c>u</c></b><n:d/></a>")
    ET.SubElement(root, "e").text = "ä"
    ET.indent(root)
    events = [event for event, _ in ET.iterparse(io.StringIO("<a><b/></a>"))]
    return ([e.text for e in root.findall("b/c")], root.find("b[@i='2']/c").text,
            root.findtext(".//c"), ET.tostring(root, "unicode"), events,
            [e.tag for e in root.iter()], ET.canonicalize("<a b='1' a='2'/>"),
            root.findall("n:d", {"n": "http://example.org/px"})[0].tag)


def use_xml_sax():
    import io
    import xml.sax
    import xml.sax.saxutils
    seen = []

    class Handler(xml.sax.ContentHandler):
        def startElement(self, name, attrs):
            seen.append((name, dict(attrs)))

        def characters(self, text):
            seen.append(text)
    xml.sax.parseString("<a x='1'>t&amp;</a>", Handler())
    return seen, xml.sax.saxutils.escape("<"), xml.sax.saxutils.quoteattr('"')


def use_xmlrpc():
    import xmlrpc.client
    text = xmlrpc.client.dumps((1, "a", [True, 2.5]), "method")
    return xmlrpc.client.loads(text), xmlrpc.client.ServerProxy is not None
