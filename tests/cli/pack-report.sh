# report.html of a pack, made of messages that were written to break it: it stays one page of text, whose only script is ours, and the
# archive has no name but its own. Of many messages the table holds the first; memory and page stay small.
. "$SRC/tests/cli/common.bash"
. "$SRC/tests/cli/acting.bash"
cat >page.py <<'PY'
import base64
import hashlib
import html.parser
import re
import sys

data = open(sys.argv[1], "rb").read()
text = data.decode("utf-8")

TAGS = {"html", "head", "meta", "title", "style", "body", "main", "header", "h1", "h2", "p", "b", "i", "dl", "dt", "dd", "ul", "ol", "li",
        "section", "figure", "figcaption", "svg", "rect", "span", "div", "article", "data", "table", "thead", "tbody", "tr", "th", "td",
        "button", "code", "footer", "script"}
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "class", "viewbox", "preserveaspectratio", "role", "aria-label", "x", "y",
              "width", "height", "id", "scope", "type", "data-n", "aria-hidden"}
VOID = {"meta"}


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.parts, self.policy, self.rows, self.cells = [], {"style": [], "script": []}, [], 0, []

    def handle_starttag(self, tag, attributes):
        if tag not in TAGS:
            print("a tag that is not ours:", tag)
        for name, value in attributes:
            if name not in ATTRIBUTES:
                print("an attribute that is not ours:", tag, name, value)
        if dict(attributes).get("http-equiv") == "Content-Security-Policy":
            self.policy.append(dict(attributes)["content"])
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows += 1
        if tag == "td":
            self.cells.append("")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            print("tags that do not fit:", tag)

    def handle_data(self, part):
        if self.open and self.open[-1] in self.parts:
            self.parts[self.open[-1]].append(part)
        if "td" in self.open:
            self.cells[-1] += part


page = Page()
page.feed(text)
if page.open:
    print("tags that nothing ends:", page.open)
if any(c < " " and c != "\n" for c in text) or re.search("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]", text):
    print("a character that deceives")
if re.search(r"https?:|url\(|@import|\bsrc\b|\bhref\b|javascript:", "".join(page.parts["style"] + page.parts["script"])):
    print("something is loaded")


def source(name):
    return "'sha256-" + base64.b64encode(hashlib.sha256("".join(page.parts[name]).encode()).digest()).decode() + "'"


wanted = f"default-src 'none'; style-src {source('style')}; script-src {source('script')}; base-uri 'none'; form-action 'none'"
print("the policy allows our own style and script alone" if page.policy == [wanted] else f"another policy: {page.policy}")
print("styles", len(page.parts["style"]), "scripts", len(page.parts["script"]), "rows", page.rows - 1)
if len(sys.argv) > 2:
    for cell in page.cells:
        if re.search(sys.argv[2], cell):
            print("  |" + cell + "|")
PY
n=0
hostile() { # hostile SENDER SUBJECT [LINE]...: one more message
    n=$((n + 1))
    message q "$(printf '1xUs%02d-0007Aa-1x' $n)" "$1" 'victim@example.org' "$2" '-host_address 192.0.2.66.4000' '-received_protocol esmtpsa' '-helo_name h<b>elo' "${@:3}"
}
hostile bob@evil.example '</script><script>document.title="run"</script>'
hostile '"><img/src=x/onerror=alert(1)>@evil.example' '"><img src=x onerror="document.title=1">'
hostile "'onmouseover='x'@evil.example" "' onmouseover='document.title=1"
hostile bob@evil.example $'nul \x01 esc \x1b[31m del \x7f csi \xc2\x9b31m'
hostile bob@evil.example $'not utf-8 \xff\xfe \xc0\xaf'
hostile bob@evil.example $'right to left \xe2\x80\xaegpj.exe and \xe2\x81\xa6hidden\xe2\x81\xa9 \xef\xbb\xbf'
hostile bob@evil.example '=?utf-8?Q?=3C/td=3E=3Cscript=3Erun()=3C/script=3E?='
hostile bob@evil.example '&lt;b&gt; stays as it was written &amp;'
hostile bob@evil.example '<!-- --><![CDATA[ ]]><?x?>'
hostile bob@evil.example "$(printf '<%.0s' $(seq 400))"
hostile bob@evil.example "$(printf 'Gr\xc3\xbc\xc3\x9fe')" '-auth_id </td><script>x</script>'
hostile bob@evil.example ',"=cmd|x' '-auth_id ../../../etc/passwd'
quiet mqquarantine pack --spool q --mta exim --all --output h.tar.gz --why '</dd><script>why</script>'
run mqquarantine verify ./h.tar.gz
tar tzf h.tar.gz | LC_ALL=C grep -vE '^h/(data/0-exim/(input|msglog)/1xUs[0-9]{2}-0007Aa-1x-[HD]|eml/0-exim/1xUs[0-9]{2}-0007Aa-1x\.eml|[a-z0-9-]+\.(html|txt|ndjson))$'
tar xzf h.tar.gz
echo '--- the page'
python3 page.py h/report.html 'script|onerror|onmouseover|passwd|nul|utf-8|left|stays|CDATA|<<|Gr'
echo '--- the table as CSV'
"$MQGREP" --mta exim --spool q --csv >q.csv
python3 -c 'import csv; rows = list(csv.reader(open("q.csv", newline="", encoding="utf-8", errors="surrogateescape"))); print(len(rows), {len(row) for row in rows})'

echo '--- many'
flooded postfix many 1300
quiet mqquarantine pack --spool many --all --output many.tar.zst
zstd -qdc many.tar.zst | tar xf -
python3 page.py many/report.html
grep -o 'The first 1,000 of 1,300' many/report.html
[ "$(stat -c %s many/report.html)" -lt 1000000 ] || echo 'a large page'
quiet mqquarantine take --spool many --vault v -u user7@shop.example --why flood --yes
quiet mqquarantine pack --vault v "$(the_case v)" --output case.tar.gz
tar xzf case.tar.gz
echo 'of a case'
python3 page.py case/report.html
grep -c report.html case/tagmanifest-sha256.txt
