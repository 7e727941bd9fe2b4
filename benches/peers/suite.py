"""What one figure does not show: Meridian beside other servers, each scenario in one run.

    suite.py PEERS MERIDIAN WORK SCENARIO...

    subnets   a client subnet in every query, of 100,000: gdnsd, Knot's geoip module
    large     the same of Meridian alone, 1,000 services x 3 clusters beside 10,000 x 30
    memory    of 10,000 x 30, unsigned and signed, and how long signing it takes
    dnssec    signatures wanted (DO): Knot's geoip module with signing
    tcp, dot  over connections: Knot's geoip module; BIND, as Knot 3.2 has no DNS over TLS
    flips     latency at half load, quiet and with 100 checks a second that turn out otherwise
    reloads   queries lost over 100 SIGHUPs at full load
    handovers queries lost over ten upgrades (SIGUSR2) at full load
    start     memory, and the time to the first answer from what was kept

The server runs on CPU 0, the load on CPU 1; figures are CPU time per answered query, from /proc.
"""
import importlib.util, os, random, re, select, shutil, signal, socket, struct, subprocess, sys, threading, time

peers_path, binary, work, *wanted = sys.argv[1:]
here = os.path.dirname(os.path.abspath(__file__))
os.environ.setdefault("BENCH_DIR", f"{work}/peers")
os.environ.setdefault("BENCH_MMDB", f"{work}/plain/country.mmdb")
SPEC = importlib.util.spec_from_file_location("peers", peers_path)
SOURCE = open(peers_path).read().rsplit("\nmain()", 1)[0]
peers = importlib.util.module_from_spec(SPEC)
exec(compile(SOURCE, peers_path, "exec"), peers.__dict__)
ROUNDS, SECONDS = int(os.environ.get("ROUNDS", 3)), int(os.environ.get("SECONDS", 3))
running = []


def fleet(name, services, *words):
    """A directory with that fleet."""
    place = f"{work}/{name}"
    if not os.path.exists(place):
        subprocess.run([sys.executable, f"{here}/fleet.py", place, str(services), *words], check=True)
    return place


def spawn(command, log):
    child = subprocess.Popen(["taskset", "-c", "0", *command], stdout=open(f"{work}/{log}.log", "w"),
                             stderr=subprocess.STDOUT)
    running.append(child)
    return child


def stop(*children):
    for child in children:
        child.terminate()
        child.wait()
        running.remove(child)


def meridian(name, place, port, *flags, state=False, ready=True):
    keep = ["--state-dir", f"{work}/{name}-state"] if state else ["--no-state"]
    child = spawn([binary, "run", *keep, "--config", f"{place}/config", "--dns-listen", f"127.0.0.1:{port}",
                   "--web-listen", f"127.0.0.1:{port + 1}", "--no-dns-rrl", *flags], name)
    if ready:
        settle(port)
        if child.poll() is not None:
            raise SystemExit(f"{name} ended, and another server answers at port {port}: {work}/{name}.log")
    return child


def settle(port):
    """Until it knows the fleet, and all answers are put together: many names take a moment."""
    while True:
        answer = peers.wait(port, f"{peers.name(0)}.{peers.ZONE}")
        if answer.rcode() == 0 and answer.answer:
            break
        time.sleep(0.5)
    time.sleep(float(os.environ.get("SETTLE", 8)))


def packet(qname, qtype, subnet=None, do=False):
    """A message behind its length, as dnsperf -B reads it."""
    labels = b"".join(bytes([len(own)]) + own.encode() for own in qname.split(".")) + b"\0"
    option = b"" if subnet is None else struct.pack("!HHHBB", 8, 7, 1, 24, 0) + subnet
    opt = b"\0" + struct.pack("!HHIH", 41, 1232, 0x8000 if do else 0, len(option)) + option
    body = struct.pack("!HHHHHH", 0, 0, 1, 0, 0, 1) + labels + struct.pack("!HH", qtype, 1) + opt
    return struct.pack("!H", len(body)) + body


def queries(services, many=100_000):
    """The mix of peers.py, each with a network of its own: half within the database's, half outside."""
    names, path = f"{work}/mix-{services}", f"{work}/subnets-{services}"
    if os.path.exists(path):
        return path
    peers.queries(services, names)
    lines = [line.split() for line in open(names)]
    draw = random.Random(5)
    within = [3, 12, 91, 10, 133, 126]
    with open(path, "wb") as f:
        for at in range(many):
            first = draw.choice(within) if at % 2 else draw.randrange(14, 90)
            subnet = bytes([first, at >> 8 & 0xff, at & 0xff])
            qname, qtype = lines[at % len(lines)]
            f.write(packet(qname, {"A": 1, "AAAA": 28}[qtype], subnet))
    return path


def load(port, *flags, seconds=SECONDS):
    command = ["taskset", "-c", "1", "dnsperf", "-s", "127.0.0.1", "-p", str(port), "-l", str(seconds), "-c", "8",
               "-q", "200", "-T", "1", *flags]
    out = subprocess.run(command, capture_output=True, text=True)
    found = lambda what: float(re.search(what + r":\s+([\d.]+)", out.stdout)[1])
    return found("Queries completed"), found("Queries lost"), found("Queries per second"), out.stdout


def compare(title, servers, *flags):
    """Each server in turn, several times; the medians."""
    results = {name: [] for name, *_ in servers}
    for _ in range(ROUNDS):
        for name, port, pid, *own in servers:
            before = peers.cpu(pid)
            done, lost, rate, out = load(port, *(own or flags))
            after = peers.cpu(pid)
            user, system = [(b - a) * 1e6 / done for a, b in zip(before, after)]
            codes = re.search(r"Response codes:\s+(.*)", out)[1]
            results[name].append((user + system, user, system, rate, lost, codes))
    print(f"\n{title}\n{'server':24}{'user us/q':>10}{'sys us/q':>10}{'cpu us/q':>10}{'q/s':>9}{'lost':>6}  rcodes")
    first = None
    for name, rows in results.items():
        middle = [sorted(own)[len(own) // 2] for own in zip(*[row[:4] for row in rows])]
        first = first or middle[0]
        lost = sum(row[4] for row in rows)
        print(f"{name:24}{middle[1]:10.2f}{middle[2]:10.2f}{middle[0]:10.2f}{middle[3]:9.0f}{lost:6.0f}"
              f"  {rows[-1][5]}   {middle[0] / first:.2f} of the first", flush=True)


def subnets():
    place = fleet("plain", 1000, "steered")
    gdnsd = spawn(peers.SERVERS["gdnsd-geo"](1000, 5410), "gdnsd")
    knot = spawn(peers.SERVERS["knot-geo"](1000, 5411), "knot-geo")
    own = meridian("subnets", place, 5412)
    servers = [("gdnsd geo", 5410, gdnsd.pid), ("Knot geoip", 5411, knot.pid), ("Meridian", 5412, own.pid)]
    compare("100,000 client subnets, 1,000 services x 3 clusters", servers, "-B", "-d", queries(1000))
    stop(gdnsd, knot, own)


def large():
    small = meridian("small", fleet("plain", 1000, "steered"), 5420)
    big = meridian("large", fleet("large", 10_000, "steered", "clusters=30"), 5422)
    servers = [("Meridian 1,000 x 3", 5420, small.pid, "-B", "-d", queries(1000)),
               ("Meridian 10,000 x 30", 5422, big.pid, "-B", "-d", queries(10_000))]
    compare("100,000 client subnets, two fleets", servers)
    print(f"memory: {peers.rss(small.pid)} MiB, {peers.rss(big.pid)} MiB")
    stop(small, big)


def is_signed(port, service=0):
    import dns.message, dns.query, dns.rdatatype
    query = dns.message.make_query(f"{peers.name(service)}.{peers.ZONE}", "A", want_dnssec=True)
    answer = dns.query.udp(query, "127.0.0.1", port=port, timeout=2)
    return any(rrset.rdtype == dns.rdatatype.RRSIG for rrset in answer.answer)


def must_be_signed(port):
    """A figure for signatures that are not there would be none."""
    if not is_signed(port):
        raise SystemExit(f"the server at port {port} does not sign")


def memory():
    """What is put together behind a publication takes memory last: until it stays for ten seconds,
    but for what reading the clusters again takes for a moment."""
    for words in ((), ("signed",)):
        name = "".join(("large", *words))
        place = fleet(name, 10_000, "steered", "clusters=30", *words)
        begun = time.monotonic()
        own = meridian(name, place, 5490, state=bool(words))
        while words and not is_signed(5490, 9_999):
            time.sleep(0.5)
        ready = time.monotonic() - begun
        sizes = [peers.rss(own.pid)]
        while len(sizes) < 20 or max(sizes[-20:]) > 1.03 * min(sizes[-20:]):
            time.sleep(0.5)
            sizes.append(peers.rss(own.pid))
        print(f"10,000 services x 30 {' '.join(words) or 'unsigned'}: {sizes[-1]} MiB, at most {max(sizes)}; "
              f"{ready:.0f} s from nothing to that", flush=True)
        stop(own)


def dnssec():
    place = fleet("signed", 1000, "steered", "signed")
    command = peers.SERVERS["knot-geo"](1000, 5431)
    config = command[-1]
    text = open(config).read().replace("journal-content: none", "journal-content: none\n    dnssec-signing: on")
    open(config, "w").write(text.replace("    module: mod-geoip/g", "    module: mod-geoip/g\n    dnssec-policy: p")
                            .replace("\nzone:\n", "\npolicy:\n  - id: p\n    algorithm: ecdsap256sha256\n    single-type-signing: on\nzone:\n", 1))
    knot = spawn(command, "knot-signed")
    own = meridian("signed", place, 5432, state=True)
    mix = f"{work}/mix-1000"
    peers.queries(1000, mix)
    servers = [("Knot geoip, signing", 5431, knot.pid), ("Meridian", 5432, own.pid)]
    for _, port, _ in servers:
        must_be_signed(port)
    compare("DO, one client subnet, signed zone", servers, "-D", "-d", mix, "-E", "8:00011800c10006")
    stop(knot, own)


def tcp():
    place = fleet("plain", 1000, "steered")
    knot = spawn(peers.SERVERS["knot-geo"](1000, 5441), "knot-tcp")
    own = meridian("tcp", place, 5442)
    mix = f"{work}/mix-1000"
    peers.queries(1000, mix)
    servers = [("Knot geoip", 5441, knot.pid), ("Meridian", 5442, own.pid)]
    compare("TCP, 8 connections", servers, "-m", "tcp", "-d", mix, "-E", "8:00011800c10006")
    stop(knot, own)


def dot():
    place = fleet("plain", 1000, "steered")
    key, certificate = f"{work}/key.pem", f"{work}/cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "30", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    command = peers.SERVERS["bind"](1000, 5451)
    config = command[-1]
    text = open(config).read()
    text = f'tls own {{ key-file "{key}"; cert-file "{certificate}"; }};\n' + text.replace(
        "listen-on port 5451 {", "listen-on port 5453 tls own { 127.0.0.1; }; listen-on port 5451 {")
    open(config, "w").write(text)
    bind = spawn(command, "bind-dot")
    own = meridian("dot", place, 5454, "--dot-listen", "127.0.0.1:5456", "--dns-tls-cert", certificate, "--dns-tls-key", key)
    mix = f"{work}/mix-1000"
    peers.queries(1000, mix)
    servers = [("BIND, static", 5453, bind.pid), ("Meridian", 5456, own.pid)]
    compare("DNS over TLS, 8 connections", servers, "-m", "dot", "-d", mix)
    stop(bind, own)


class Backends:
    """Listeners at all addresses of a checked fleet, some of which go."""

    def __init__(self, services, port):
        self.sockets, self.poll = {}, select.epoll()
        for at in range(3):
            for service in range(services):
                own = socket.socket()
                own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                own.bind((f"127.{64 + at}.{service // 250}.{1 + service % 250}", port))
                own.listen(16)
                own.setblocking(False)
                self.sockets[own.fileno()] = own
                self.poll.register(own, select.EPOLLIN)
        self.over = False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while not self.over:
            for number, _ in self.poll.poll(0.1):
                own = self.sockets.get(number)
                try:
                    own and own.accept()[0].close()
                except OSError:
                    pass

    def lose(self, many):
        """These many go; another of the same service may have gone before."""
        for number in list(self.sockets)[:many]:
            own = self.sockets.pop(number)
            self.poll.unregister(own)
            own.close()


def latencies(port, mix, seconds, rate):
    """Of each query in microseconds, sorted; and how many were lost."""
    done, lost, _, out = load(port, "-d", mix, "-v", "-Q", str(rate), seconds=seconds)
    all_ = sorted(float(line.rsplit(" ", 1)[1]) * 1e6 for line in out.splitlines() if line.startswith("> "))
    return all_, lost


def flips():
    port, services = 5469, 500
    backends = Backends(services, port)
    place = fleet("checked", services, "steered", f"checked={port}")
    own = meridian("flips", place, 5460, "--probe-allow", "127.0.0.0/8")
    mix = f"{work}/mix-{services}"
    peers.queries(services, mix)
    full = load(5460, "-d", mix)[2]
    for title, gone in (("quiet", 0), ("100 flips a second", 100), ("quiet", 0)):
        done = threading.Event()

        def turn():
            while gone and not done.wait(1):
                backends.lose(gone)
        thread = threading.Thread(target=turn, daemon=True)
        thread.start()
        rows, lost = latencies(5460, mix, 10, int(full / 2))
        done.set()
        thread.join()
        at = lambda part: rows[int(len(rows) * part)] if rows else 0
        print(f"{title:20} {len(rows)} answers at {full / 2:.0f}/s: p50 {at(.5):.0f} us, p99 {at(.99):.0f} us, "
              f"p99.9 {at(.999):.0f} us, lost {lost:.0f}", flush=True)
    backends.over = True
    stop(own)


def reloads():
    own = meridian("reloads", fleet("plain", 1000, "steered"), 5470)
    mix = f"{work}/mix-1000"
    peers.queries(1000, mix)
    over = threading.Event()
    count = 0

    def again():
        nonlocal count
        while count < 100 and not over.wait(0.1):
            own.send_signal(signal.SIGHUP)
            count += 1
    thread = threading.Thread(target=again)
    thread.start()
    done, lost, rate, _ = load(5470, "-d", mix, seconds=12)
    over.set()
    thread.join()
    print(f"{count} SIGHUPs under full load: {done:.0f} answered ({rate:.0f}/s), {lost:.0f} lost", flush=True)
    stop(own)


def owners(name):
    """The processes with that state directory, by their age."""
    found = subprocess.run(["pgrep", "-f", f"state-dir {work}/{name}-state"], capture_output=True, text=True)
    begun = lambda pid: int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[19])
    return sorted(map(int, found.stdout.split()), key=begun)


def handovers():
    own = meridian("handovers", fleet("plain", 1000, "steered"), 5475, state=True)
    mix = f"{work}/mix-1000"
    peers.queries(1000, mix)
    pids, over = [own.pid], threading.Event()

    def upgrade():
        while len(pids) <= 10 and not over.wait(0.5):
            os.kill(pids[-1], signal.SIGUSR2)
            while pids[-1] in owners("handovers") and not over.wait(0.05):
                pass
            pids.append(owners("handovers")[-1])
    thread = threading.Thread(target=upgrade)
    thread.start()
    done = lost = 0
    try:
        while thread.is_alive():
            answered, missed, rate, _ = load(5475, "-d", mix, seconds=10)
            done, lost = done + answered, lost + missed
    finally:
        over.set()
        thread.join()
        for pid in owners("handovers"):
            os.kill(pid, signal.SIGTERM)
        own.wait()
    running.remove(own)
    print(f"{len(set(pids)) - 1} upgrades under full load: {done:.0f} answered ({rate:.0f}/s at the end), {lost:.0f} lost", flush=True)


def start():
    import dns.message, dns.query
    for signed in ("", "signed"):
        place = fleet(f"start{signed}", 12_500, "steered", *([signed] if signed else []))
        name = f"start{signed}"
        first = meridian(name, place, 5480, state=True)
        time.sleep(20)
        print(f"12,500 services x 3 (100,000 names) {signed or 'unsigned'}: {peers.rss(first.pid)} MiB", flush=True)
        stop(first)
        begun = time.monotonic()
        again = meridian(name, place, 5480, state=True, ready=False)
        asked = dns.message.make_query(f"{peers.name(12_499)}.{peers.ZONE}", "A")
        while True:
            try:
                answer = dns.query.udp(asked, "127.0.0.1", port=5480, timeout=0.05)
                if answer.rcode() == 0 and answer.answer:
                    break
            except Exception:
                pass
            time.sleep(0.005)
        print(f"  from start to the first answer, from what was kept: {time.monotonic() - begun:.2f} s", flush=True)
        stop(again)


fleet("plain", 1000, "steered")
try:
    for scenario in wanted:
        globals()[scenario]()
finally:
    for child in list(running):
        child.terminate()
