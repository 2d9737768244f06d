#!/usr/bin/env python3
"""Looks at running jobs as people do: by Prometheus, and in a browser.

Without Prometheus, or without Chromium and its driver, the cases that need them are named as skipped and not counted.
Screenshots are left in the work folder.
"""
import argparse
import base64
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OBSERVE = ROOT / "src" / "observe"
PATIENCE = 60


class Failure(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failure(what)


def until(what, f):
    """Calls f until it gives something, and returns that."""
    end = time.monotonic() + PATIENCE
    while True:
        result = f()
        if result:
            return result
        if time.monotonic() > end:
            raise Failure(f"waited {PATIENCE} s in vain until {what}")
        time.sleep(0.1)


def program(name):
    """A program of the system, or one that was unpacked into build/tools."""
    unpacked = ROOT / "build" / "tools" / "usr" / "bin" / name
    return str(unpacked) if unpacked.exists() else shutil.which(name)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def fetch(url, data=None, method=None):
    request = urllib.request.Request(url, method=method, data=None if data is None else json.dumps(data).encode(),
                                     headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return answer.read().decode()


class Process:
    """A program that runs until it is left, with its output in a file."""

    def __init__(self, work, name, *command, **more):
        self.log = work / f"{name}.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([str(c) for c in command], stderr=log, stdin=subprocess.PIPE,
                                            **{"stdout": log, **more})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Jobs(Process):
    """The jobs that are looked at, and their page."""

    def __init__(self, serve, work):
        shutil.rmtree(work / "state", ignore_errors=True)
        super().__init__(work, "serve", serve, work / "state", stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        expect(self.url.startswith("http://127.0.0.1:"), f"serve prints no address: {self.log.read_text()}")

    def page_thread(self):
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            if (task / "comm").read_text().strip() == "runnel page":
                return task
        raise Failure("the page has no thread of its own")

    def cpu_seconds(self):
        fields = (self.page_thread() / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def switches(self):
        text = (self.page_thread() / "status").read_text()
        return sum(int(n) for n in re.findall(r"ctxt_switches:\s*(\d+)", text))


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    if done.returncode != 0:
        raise Failure(f"{command[0]} says: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


# ---- Prometheus

def metrics_are_clean(jobs, _):
    until("there is a checkpoint", lambda: "runnel_checkpoint_last_size_bytes{" in fetch(jobs.url + "metrics"))
    said = run(program("promtool"), "check", "metrics", input=fetch(jobs.url + "metrics"))
    expect(not said.strip(), f"promtool check metrics: {said}")


def alerts_fire(_, work):
    shutil.copy(OBSERVE / "alerts.yml", work)
    shutil.copy(HERE / "alerts_test.yml", work)
    run(program("promtool"), "check", "rules", work / "alerts.yml")
    run(program("promtool"), "test", "rules", "alerts_test.yml", cwd=work)


class Prometheus(Process):
    def __init__(self, jobs, work):
        shutil.rmtree(work / "tsdb", ignore_errors=True)
        target = urllib.parse.urlparse(jobs.url).netloc
        (work / "prometheus.yml").write_text(
            f"global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}\n"
            f"rule_files: [{OBSERVE / 'alerts.yml'}]\n"
            f"scrape_configs: [{{job_name: runnel, static_configs: [{{targets: ['{target}']}}]}}]\n")
        self.url = f"http://127.0.0.1:{free_port()}"
        super().__init__(work, "prometheus", program("prometheus"), f"--config.file={work / 'prometheus.yml'}",
                         f"--storage.tsdb.path={work / 'tsdb'}", f"--web.listen-address={self.url[7:]}")
        until("Prometheus has asked four times", lambda: self.asked() >= 4)

    def query(self, expression):
        try:
            answer = json.loads(fetch(self.url + "/api/v1/query?" + urllib.parse.urlencode({"query": expression})))
        except urllib.error.HTTPError as error:
            raise Failure(f"{expression}: {error.read().decode()}")
        return answer["data"]["result"]

    def asked(self):
        try:
            found = self.query('count_over_time(up{job="runnel"}[1m])')
        except (OSError, Failure):
            return 0
        return int(found[0]["value"][1]) if found else 0


def queries_have_answers(jobs, work):
    """Each query of the dashboard gives something, and each rule can be evaluated."""
    dashboard = json.loads((OBSERVE / "dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    expect(len(queries) > 20, "the dashboard has hardly any query")
    with Prometheus(jobs, work) as prometheus:
        for query in queries:
            concrete = query.replace("$pipeline", ".*").replace("$__rate_interval", "10s")
            expect("$" not in concrete, f"unknown variable in {query}")
            until(f"{query} has an answer", lambda: prometheus.query(concrete))
        names = {s["metric"]["pipeline"] for s in prometheus.query("runnel_job_uptime_seconds")}
        expect(names == {"clicks", "orders", "shipments"}, f"pipelines are {names}")
        until("the errors of the operator with the strange name are there", lambda: prometheus.query(
            'runnel_errors_total{operator="<img src=x onerror=alert(1)>",reason="process"} > 0'))

        def rules():
            groups = json.loads(fetch(prometheus.url + "/api/v1/rules"))["data"]["groups"]
            found = [rule for group in groups for rule in group["rules"]]
            return found if found and all(r["health"] != "unknown" for r in found) else None
        for rule in until("all rules are evaluated", rules):
            expect(rule["health"] == "ok", f"{rule['name']}: {rule.get('lastError')}")
        until("the split that cannot be read is further behind than the slow one, and that than the others",
              lambda: prometheus.query('runnel_split_lag_records{split="shipments/3"} > on () '
                                       '(runnel_split_lag_records{split="shipments/2"} > on () '
                                       'runnel_split_lag_records{split="shipments/1"})'))
        trouble = {s["metric"]["operator"] for s in prometheus.query('runnel_in_trouble{pipeline="shipments"} == 1')}
        expect(trouble == {"topic"}, f"in trouble are {trouble}")
        stalled = prometheus.query('runnel_watermark_stalled_seconds{pipeline="orders",operator="counts"}')
        expect(float(stalled[0]["value"][1]) > 1, "event time that stands still does not show")


# ---- The page

class Browser(Process):
    """Chromium, driven by its driver."""

    def __init__(self, work):
        self.base = f"http://127.0.0.1:{free_port()}"
        super().__init__(work, "driver", program("chromedriver"), "--port=" + self.base.rpartition(":")[2])
        options = {"binary": program("chromium"),
                   "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                            "--no-first-run", "--hide-scrollbars", f"--user-data-dir={work / 'profile'}"]}
        wanted = {"browserName": "chrome", "goog:loggingPrefs": {"browser": "ALL"}, "goog:chromeOptions": options}

        def session():
            try:
                return json.loads(fetch(self.base + "/session", {"capabilities": {"alwaysMatch": wanted}}))["value"]
            except urllib.error.HTTPError as error:
                raise Failure(f"no browser: {error.read().decode()[:2000]}")
            except OSError:
                return None
        self.session = f"{self.base}/session/{until('the driver answers', session)['sessionId']}"

    def __exit__(self, *rest):
        try:
            fetch(self.session, method="DELETE")
        except OSError:
            pass
        super().__exit__(*rest)

    def ask(self, path, data):
        try:
            return json.loads(fetch(f"{self.session}/{path}", data))["value"]
        except urllib.error.HTTPError as error:
            raise Failure(f"{path}: {error.read().decode()[:1000]}")

    def devtools(self, command, **parameters):
        return self.ask("goog/cdp/execute", {"cmd": command, "params": parameters})

    def js(self, expression):
        return self.ask("execute/sync", {"script": "return " + expression, "args": []})

    def text(self, selector):
        return self.js(f"(document.querySelector({json.dumps(selector)}) ?? {{}}).textContent")

    def look(self, width, height, scheme):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                      mobile=width < 600)
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def panels(self, job):
        """The titles of the panels that a job shows."""
        return self.js(f"[...document.querySelectorAll('{job} .panel h3')].filter(e => e.offsetParent && "
                       "!e.closest('.tile')).map(e => e.textContent)")

    def screenshot(self, path):
        picture = self.devtools("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(picture["data"]))

    def errors(self):
        return [e["message"] for e in self.ask("se/log", {"type": "browser"}) if e["level"] in ("SEVERE", "WARNING")]


def page_moves(jobs, work):
    with Browser(work) as browser:
        browser.look(1280, 900, "light")
        browser.ask("url", {"url": jobs.url})
        until("the page is live", lambda: browser.text("#link") == "live")
        until("there are three jobs", lambda: browser.js("document.querySelectorAll('.job').length") == 3)
        expect(browser.text(".job h2") == "clicks", "the first job is another")
        operators = sum(len(job["operators"]) for job in json.loads(fetch(jobs.url + "api/jobs"))["jobs"])
        expect(browser.js("document.querySelectorAll('.job .node').length") == operators, "the graphs are not whole")

        def number(selector):
            found = re.match(r"[≤ ]*([0-9.]+)", browser.text(selector) or "")
            return float(found[1]) if found else None
        rate = ".job .tile strong"
        until("there are records per second", lambda: (number(rate) or 0) > 0)
        before = browser.text(".job .tile small")
        until("the number of records moves", lambda: browser.text(".job .tile small") != before)
        until("there is a latency", lambda: number(".job .tile:nth-child(3) strong"))
        until("there is a checkpoint", lambda: "№" in browser.text(".job .tile:nth-child(4) small"))
        until("there are bad records", lambda: "alert(77)" in browser.text(".job .samples"))
        until("what holds event time back is named",
              lambda: "Event time stands still" in browser.js("document.body.innerText"))
        until("what cannot be read is told",
              lambda: "no answer from its leader" in (browser.text(".trouble:not([hidden])") or ""))
        until("the split that is most behind comes first",
              lambda: (browser.text(".splits li") or "").startswith("shipments/3"))
        expect(browser.text(".node.troubled .name") == "topic", "the operator in trouble is not marked")
        behind = ".tile:nth-child(2) small"
        expect(browser.text("#job-2 " + behind) == "no watermark yet", "event time that has not begun is not told")
        expect(browser.text("#job-3 " + behind) == "no event time in this job", "no event time is not told")
        shown = {n: browser.panels(f"#job-{n}") for n in (1, 2, 3)}
        expect(shown == {1: ["Operators", "Event time", "Latency from source to sink", "Checkpoints",
                             "Late and bad records"],
                         2: ["Operators", "Event time"],
                         3: ["Operators", "Not read yet", "Latency from source to sink", "Recent errors"]},
               f"the panels are {shown}")
        columns = browser.js("getComputedStyle(document.querySelector('#job-2 .panels')).columnCount")
        expect(columns == "1", "a panel that is alone leaves half of the page empty")
        until("bytes per second are told", lambda: "KB/s" in browser.js("document.body.innerText"))
        until("sparklines are drawn", lambda: "L" in browser.js(
            "document.querySelector('.spark path:last-child').getAttribute('d')"))
        expect(browser.js("document.images.length") == 0, "a name has become markup")
        expect(browser.js("document.scripts.length") == 1, "a text has become a script")
        expect(browser.js("performance.getEntriesByType('resource').every(r => r.name.startsWith(location.origin))"),
               "something was loaded from elsewhere")
        ground = {}
        time.sleep(10 if os.environ.get("LIVE_PAGE_PICTURES") else 0)  # For curves that are worth a look.
        for width, height in ((390, 844), (1280, 900)):
            for scheme in ("light", "dark"):
                browser.look(width, height, scheme)
                browser.js("new Promise(done => setTimeout(done, 1300))")
                expect(browser.js("document.querySelector('details').open") == (width > 720),
                       "the list of operators is not folded on a phone, and there alone")
                wide = browser.js("document.documentElement.scrollWidth")
                expect(wide <= width, f"the page is {wide} wide on a screen of {width}")
                ground[scheme] = browser.js("getComputedStyle(document.body).backgroundColor")
                browser.screenshot(work / f"page-{width}-{scheme}.png")
        expect(ground["light"] != ground["dark"], "light and dark are the same")
        errors = browser.errors()
        expect(not errors, f"the console says: {errors}")
        start, began = jobs.cpu_seconds(), time.monotonic()
        time.sleep(5)
        share = (jobs.cpu_seconds() - start) / (time.monotonic() - began)
        expect(share < 0.01, f"the page takes {share:.1%} of a core with one viewer")


def page_says(jobs, work):
    """What is shown of pictures that are made up: a job to which no records come, and one that has ended."""
    with Browser(work) as browser:
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", source="""
            window.EventSource = class { constructor() { window.page = this; } };""")
        browser.look(1280, 900, "light")
        browser.ask("url", {"url": jobs.url})
        job = next(j for j in json.loads(fetch(jobs.url + "api/jobs"))["jobs"] if j["name"] == "shipments")

        def show(seconds, state="running"):
            job.update({"at": job["at"] + seconds, "running_for": job["running_for"] + seconds, "state": state})
            event = json.dumps({"data": json.dumps({"jobs": [job]})})
            browser.js(f"window.page.onmessage({event})")

        def expect_latency(said, has_some):
            found = [browser.text(".tile:nth-child(3) small"), browser.text(".panels .series p")]
            value = browser.text(".tile:nth-child(3) strong") != "–"
            bars = browser.js("!document.querySelector('.bars').hasAttribute('hidden')")
            expect(all(said in f and has_some == ("no record" not in f) for f in found) and value == bars == has_some,
                   f"latency is told as {found}, with {value=} and {bars=}, not as {said}")
        latency = job["operators"][1]["latency"]
        job["running_for"] = 70
        show(0)
        expect_latency("since the start", True)
        show(30)
        expect_latency("in the last 30 s", False)
        show(29)
        expect_latency("in the last minute", False)
        latency["count"] += 1
        latency["buckets"][-1]["count"] += 1
        show(1)
        expect_latency("in the last minute", True)
        show(1, "finished")
        expect_latency("since the start", True)
        latency.update({"count": 0, "buckets": []})
        show(1, "finished")
        expect("Latency from source to sink" not in browser.panels(".job"), "a panel has nothing to say")
        expect(browser.text(".tile:nth-child(3) small") == "no record since the start", "no record is not told")
        job["bad_records"] = [{"where": f"numbers.txt:{line}", "why": "not a number", "raw": raw}
                              for line, raw in ((1, "one"), (2, "two"), (30, "one"))]
        show(1, "finished")
        samples = browser.js("[...document.querySelectorAll('.samples li:has(code)')].map(e => e.textContent)")
        expect(samples == ["numbers.txt:30: not a number (2 times among the latest)one",
                           "numbers.txt:2: not a numbertwo"], f"bad records are told as {samples}")
        expect("Not read yet" in browser.panels(".job"), "what is not read yet is not told")
        job["name"] = "caught up"
        job["operators"][0].update({"lag": 0, "lag_by_split": {"shipments/0": 0}})
        show(1)
        expect(browser.text(".job h2") == "caught up", "a job that is gone is still shown")
        expect("Not read yet" not in browser.panels(".job"), "a panel tells that all is read")
        errors = browser.errors()
        expect(not errors, f"the console says: {errors}")


def page_rests(jobs, _):
    """Without a viewer the page's thread does not even wake up."""
    before = until("the viewers' connections are gone", lambda: quiet(jobs))
    time.sleep(2)
    expect(jobs.switches() == before, "the page's thread runs without a viewer")


def quiet(jobs):
    before = jobs.switches()
    time.sleep(1.5)
    return before if jobs.switches() == before else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", type=pathlib.Path, required=True, help="the program with the jobs")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="a folder to use")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)

    cases = [
        ("promtool finds nothing to say about the metrics", metrics_are_clean, ["promtool"]),
        ("each alert fires when it should", alerts_fire, ["promtool"]),
        ("each query of the dashboard has an answer", queries_have_answers, ["prometheus"]),
        ("the page moves, in light and dark, on phone and desktop", page_moves, ["chromium", "chromedriver"]),
        ("the page says when there is nothing new, and the same only once", page_says, ["chromium", "chromedriver"]),
        ("the page does nothing without a viewer", page_rests, []),
    ]
    passed = failed = 0
    with Jobs(arguments.serve, work) as jobs:
        for name, case, needs in cases:
            missing = [n for n in needs if not program(n)]
            if missing:
                print(f"SKIPPED: {name}: {' and '.join(missing)} missing")
                continue
            try:
                case(jobs, work)
                passed += 1
            except (Failure, OSError) as failure:
                failed += 1
                print(f"FAILED: {name}: {failure}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
