"""What servers write into Content-Disposition, and the name that the customer gets."""

from tests.downloads.lies.row import Completes, Lie, ok


def _named(disposition: str, name: str, path: str = "/download?id=5") -> Lie:
    return Lie(first=ok(f"Content-Disposition: {disposition}"), path=path, ends=Completes(name))


_TABLE = (
    # what the server writes, the name
    ('attachment; filename="plain.mp4"', "plain.mp4"),
    ("attachment; filename=plain.mp4", "plain.mp4"),
    ("attachment;filename=plain.mp4;", "plain.mp4"),
    ('inline; filename="plain.mp4"', "plain.mp4"),
    ('filename="plain.mp4"', "plain.mp4"),
    ('ATTACHMENT; FILENAME="plain.mp4"', "plain.mp4"),
    ('attachment ; filename = "plain.mp4"', "plain.mp4"),
    ('attachment; size=5; filename="plain.mp4"; foo=bar', "plain.mp4"),
    ('attachment; filename="a;b.mp4"', "a;b.mp4"),
    ('attachment; filename="say \\"hi\\".mp4"', "say _hi_.mp4"),
    # both forms: filename* wins, in any order (RFC 6266, 4.3)
    ("attachment; filename=\"bai.mp4\"; filename*=UTF-8''b%C3%A0i%201.mp4", "bài 1.mp4"),
    ("attachment; filename*=UTF-8''b%C3%A0i%201.mp4; filename=\"bai.mp4\"", "bài 1.mp4"),
    ("attachment; filename*=utf-8'vi'b%C3%A0i%201.mp4; filename=bai.mp4", "bài 1.mp4"),
    ("attachment; FileName=\"bai.mp4\"; FileName*=utf-8''b%c3%a0i%201.mp4", "bài 1.mp4"),
    ("attachment; filename*=\"UTF-8''b%C3%A0i%201.mp4\"; filename=\"bai.mp4\"", "bài 1.mp4"),
    ("attachment; filename*=ISO-8859-1''%fcbung.mp4; filename=uebung.mp4", "übung.mp4"),
    # a filename* that cannot be decoded is ignored
    ("attachment; filename*=UTF-8''%FF%FE.mp4; filename=\"good.mp4\"", "good.mp4"),
    ("attachment; filename*=NO-SUCH''bad.mp4; filename=\"good.mp4\"", "good.mp4"),
    ("attachment; filename*=UTF-8''; filename=\"good.mp4\"", "good.mp4"),
    ('attachment; filename="good.mp4"; filename*=', "good.mp4"),
    # one form, but not in ASCII
    ("attachment; filename*=UTF-8''b%C3%A0i%201.mp4", "bài 1.mp4"),
    ('attachment; filename="bài 1.mp4"', "bài 1.mp4"),
    ('attachment; filename="b%C3%A0i%201.mp4"', "bài 1.mp4"),
    ("attachment; filename=b%C3%A0i%201.mp4", "bài 1.mp4"),
    ('attachment; filename="100%.mp4"', "100%.mp4"),
    ('attachment; filename="=?UTF-8?B?YsOgaSAxLm1wNA==?="', "bài 1.mp4"),
    ('attachment; filename="=?utf-8?q?b=C3=A0i_1.mp4?="', "bài 1.mp4"),
    ("attachment; filename==?UTF-8?B?YsOgaSAxLm1wNA==?=", "bài 1.mp4"),
    ('attachment; filename="=?UTF-8?B?YsOgaSA=?= =?UTF-8?B?MS5tcDQ=?="', "bài 1.mp4"),
    # in pieces (RFC 2231)
    ('attachment; filename*0="les"; filename*1="son.mp4"', "lesson.mp4"),
    ("attachment; filename*0*=UTF-8''b%C3%A0; filename*1*=i%201.mp4", "bài 1.mp4"),
)  # fmt: skip

_NAMELESS = (
    # nothing to take a name from: it is that of the URL
    "attachment",
    "",
    'attachment; filename=""',
    'attachment; filename="   "',
    "attachment; filename=",
    "attachment; filename*=UTF-8''",
    ";;;=;filename",
)

NAMES = (
    {f"named by {disposition}": _named(disposition, name) for disposition, name in _TABLE}
    | {f"not named by {disposition!r}": _named(disposition, "a.bin", "/a.bin") for disposition in _NAMELESS}
    | {
        "named in Latin-1": Lie(
            first=lambda _asked: ok('Content-Disposition: attachment; filename="?bung.mp4"').replace(
                b"?", b"\xfc", 1
            ),
            path="/download",
            ends=Completes("übung.mp4"),
        ),
        "named twice alike": Lie(
            first=ok(*['Content-Disposition: attachment; filename="plain.mp4"'] * 2),
            path="/download",
            ends=Completes("plain.mp4"),
        ),
        "named on a folded line": Lie(
            first=ok('Content-Disposition: attachment;\r\n filename="plain.mp4"'),
            path="/download",
            ends=Completes("plain.mp4"),
        ),
    }
)
