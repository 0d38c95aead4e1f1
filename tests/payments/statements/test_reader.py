"""Whole statements as banks, services and people write them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from orderctl.errors import InvalidInput
from orderctl.payments import statements
from orderctl.payments.statements import Line, Options, Statement
from orderctl.payments.transfer import STATEMENT, Direction

IN, OUT = Direction.IN, Direction.OUT
VIETCOMBANK = """\
NG\xc2N H\xc0NG TMCP NGO\u1ea0I TH\u01af\u01a0NG VI\u1ec6T NAM;;;;;
S\u1ed1 t\xe0i kho\u1ea3n: 0123456789;;;;;
T\u1eeb ng\xe0y: 01/11/2026 \u0111\u1ebfn ng\xe0y: 30/11/2026;;;;;

STT;"Ng\xe0y giao d\u1ecbch/
Transaction Date";S\u1ed1 tham chi\u1ebfu;S\u1ed1 ti\u1ec1n ghi n\u1ee3/ Debit;S\u1ed1 ti\u1ec1n ghi c\xf3/ Credit;S\u1ed1 d\u01b0/ Balance;M\xf4 t\u1ea3/ Transactions in detail
;;;S\u1ed1 d\u01b0 \u0111\u1ea7u k\u1ef3;;1.000.000;
1;01/11/2026 10:33:05;FT26305001;;300.000;1.300.000;"NGUYEN VAN A
chuyen tien DH1";
2;13/11/2026 08:00:00;FT002;50.000;0;1.250.000;Phi dich vu

;T\u1ed5ng c\u1ed9ng;;50.000;300.000;;
Ng\xe0y 30 th\xe1ng 11 n\u0103m 2026;;;;;;
"""


def read(text: str | bytes | object, **options: object) -> Statement:
    if not isinstance(text, str | bytes):
        text = json.dumps(text)
    return statements.read(text if isinstance(text, bytes) else text.encode(), Options(**options))


def only(text: str | bytes | object, **options: object) -> Line:
    [line] = read(text, **options).lines
    return line


def brief(text: str | bytes | object, **options: object) -> list[tuple[str, str, str, tuple[str, ...]]]:
    zone = timezone(timedelta(hours=7))
    return [
        (f"{line.begin.astimezone(zone):%m-%d %H:%M}", str(line.direction), f"{line.amount:f}", line.names)
        for line in read(text, **options).lines
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_a_banks_export_is_read(encoding: str, newline: str, delimiter: str):
    text = VIETCOMBANK.replace(";", delimiter).replace("\n", newline)

    found = read(text.encode(encoding))

    first, second = found.lines
    assert first == Line(
        number=8,
        direction=IN,
        amount=Decimal(300000),
        begin=datetime(2026, 11, 1, 3, 33, 5, tzinfo=UTC),
        end=datetime(2026, 11, 1, 3, 33, 6, tzinfo=UTC),
        names=("FT26305001",),
        content="NGUYEN VAN A chuyen tien DH1",
        code=None,
        currency=None,
        account="0123456789",
        bank=None,
        balance=Decimal(1300000),
        key="FT26305001",
    )
    assert (second.number, second.direction, second.amount, second.names) == (10, OUT, 50000, ("FT002",))
    assert (found.skipped, found.repeated, found.remarks) == ((7, 12, 13), (), ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("date,amount,ref\n2026-11-01,300000,FT1", ("11-01 00:00", "in", "300000", ("FT1",))),
        ("ref|credit|date\nFT1|300,000|01-Nov-2026 10:33", ("11-01 10:33", "in", "300000", ("FT1",))),
        ("Ngay GD;Gio GD;So tien;+/-\n01/11/2026;10:33:05;300.000;-", ("11-01 10:33", "out", "300000", ())),
        ("Ngay GD;Gio GD;So tien;+/-\n01/11/2026 00:00:00;103305;300.000;+", ("11-01 10:33", "in", "300000", ())),
        ('Date,Amount,D/C\n01/11/2026,"300,000",D', ("11-01 00:00", "out", "300000", ())),
        ('Date,Amount,Dr/Cr\n01/11/2026,"300,000",Cr', ("11-01 00:00", "in", "300000", ())),
        ('Date,Amount,Type\n01/11/2026,"300,000",out', ("11-01 00:00", "out", "300000", ())),
        ('Date,Amount,Type\n01/11/2026,"300,000",Transfer', ("11-01 00:00", "in", "300000", ())),
        ('Date,Amount\n01/11/2026,"(300,000)"', ("11-01 00:00", "out", "300000", ())),
        ('Date,Amount\n01/11/2026,"300,000 DR"', ("11-01 00:00", "out", "300000", ())),
        ("Date,Debit,Amount\n01/11/2026,,5", ("11-01 00:00", "in", "5", ())),
        ("Date,Credit,Debit\n01/11/2026,,-5", ("11-01 00:00", "out", "5", ())),
        ("Date,Credit,Debit\n01/11/2026,-5,", ("11-01 00:00", "out", "5", ())),
        ("Date,Co,No\n01/11/2026,0,5", ("11-01 00:00", "out", "5", ())),
        ("Value date,Transaction date,Amount\n03/11/2026,01/11/2026,5", ("11-01 00:00", "in", "5", ())),
        ("Value date,Time,Amount\n03/11/2026,01/11/2026 10:33,5", ("11-01 10:33", "in", "5", ())),
        ("Date,Date,Amount\n,01/11/2026,5", ("11-01 00:00", "in", "5", ())),
        ("So CT,Ma GD,Ref,id,Date,Amount\na,b,'c,d,01/11/2026,5", ("11-01 00:00", "in", "5", ("c", "b", "a", "d"))),
        ('Ref,id,Date,Amount\n"=""012""",0,01/11/2026,5', ("11-01 00:00", "in", "5", ("012",))),
        ("Ref,id,Date,Amount,\n-,N/A,01/11/2026,5,,,", ("11-01 00:00", "in", "5", ())),
        ("Da\x00te,Amount\n01/11/2026,5\x00", ("11-01 00:00", "in", "5", ())),
        ("Date,Amount\r01/11/2026,5\r", ("11-01 00:00", "in", "5", ())),
        ("date,amount\n2026-11-01T00:00:00Z,5", ("11-01 00:00", "in", "5", ())),
    ],
)  # fmt: skip
def test_a_line_is_read(text: str, expected: tuple[str, str, str, tuple[str, ...]]):
    assert brief(text) == [expected]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (  # SePay's API
            {"status": 200, "error": None, "messages": {"success": True}, "transactions": [
                {"id": "92704", "bank_brand_name": "Vietcombank", "account_number": "0071000888888", "code": "DH1",
                 "transaction_date": "2026-11-01 18:28:50", "amount_out": "0.00", "amount_in": "18067000.00",
                 "accumulated": "19077000.00", "transaction_content": "DH1 ck", "reference_number": "FT1",
                 "sub_account": None, "bank_account_id": "19"}]},
            ("FT1", "92704", "Vietcombank", "0071000888888", IN, "18067000", "DH1", "DH1 ck", "19077000"),
        ),
        (  # Casso's API
            {"error": 0, "message": "success", "data": {"page": 1, "records": [
                {"id": 7, "tid": "FT1", "description": "DH1 ck", "amount": -300000, "cusumBalance": 5,
                 "when": "2026-11-01 18:28:50", "bankSubAccId": "123", "bankName": "VCB", "corresponsiveAccount": "9"}]}},
            ("FT1", "7", "VCB", "123", OUT, "300000", None, "DH1 ck", "5"),
        ),
        (  # SePay's webhook
            {"id": 7, "gateway": "VCB", "transactionDate": "2026-11-01 18:28:50", "accountNumber": "123", "code": "DH1",
             "content": "DH1 ck", "transferType": "out", "transferAmount": 300000, "accumulated": 5, "subAccount": None,
             "referenceCode": "FT1", "description": "SMS DH1 ck"},
            ("FT1", "7", "VCB", "123", OUT, "300000", "DH1", "DH1 ck", "5"),
        ),
        (  # the provider plain
            [{"transactionId": 7, "referenceCode": "FT1", "code": "DH1", "content": "DH1 ck", "transferAmount": "300,000",
              "bankName": "VCB", "accountNumber": "123", "transactionDate": "2026-11-01T18:28:50+07:00"}],
            ("FT1", "7", "VCB", "123", IN, "300000", "DH1", "DH1 ck", None),
        ),
        (  # orderctl payments list -o json
            [{"id": 1, "told_at": "2026-11-02T00:00:00Z", "provider": "sepay", "provider_id": "7", "amount": 300000,
              "currency": None, "direction": "in", "bank": "VCB", "account": "123", "reference": "FT1", "order_id": 1,
              "order_code": "DH1", "outcome": "paid", "reason": None, "code": "DH1", "content": "DH1 ck",
              "happened_at": "2026-11-01T11:28:50Z", "decided_by": None, "decided_at": None, "decision": None}],
            ("FT1", "7", "VCB", "123", IN, "300000", "DH1", "DH1 ck", None),
        ),
    ],
)  # fmt: skip
def test_the_json_of_services_is_read(document: object, expected: tuple[object, ...]):
    line = only(document)

    balance = None if line.balance is None else f"{line.balance:.0f}"
    fields = (line.bank, line.account, line.direction, f"{line.amount:.0f}", line.code, line.content, balance)
    assert (*line.names, *fields) == expected
    assert line.begin == datetime(2026, 11, 1, 11, 28, 50, tzinfo=UTC)


def test_a_line_is_a_transfer_for_the_ledger():
    line = only({"date": "2026-11-01 10:33", "amount": 5, "ref": "FT26305001", "id": 7, "currency": "vnd"})
    transfer = line.transfer()

    assert (transfer.provider, transfer.provider_id, transfer.reference, transfer.alias) == (
        STATEMENT,
        "FT26305001",
        "FT26305001",
        "7",
    )
    assert (transfer.amount, transfer.currency, transfer.happened_at) == (5, "VND", line.begin)
    assert line.end - line.begin == timedelta(minutes=1)


def test_the_currency_of_a_column_counts():
    assert only("Date,Amount (USD)\n01/11/2026,1.50").currency == "USD"
    assert only("Date,Amount,CCY\n01/11/2026,1.50,eur").currency == "EUR"
    assert only("Currency: JPY\nDate,Amount\n01/11/2026,300.000").amount == 300000
    assert only("Date,Amount\n01/11/2026,1.50 USD").currency == "USD"


def test_midnight_in_every_line_means_no_time():
    def spans(*times: str) -> set[timedelta]:
        text = "".join(f"01/11/2026 {time},{place}\n" for place, time in enumerate(times, 1))
        return {line.end - line.begin for line in read(f"date,amount\n{text}").lines}

    day, second = timedelta(days=1), timedelta(seconds=1)
    assert spans("00:00:00", "00:00:00") == {day}
    assert spans("00:00:00", "10:00:00") == {second}
    assert spans("00:00:00", "") == {day}
    line = only(
        "date,amount\n2026-10-31T17:00:00.000Z,5"
    )  # midnight of the first of November, as JavaScript writes it
    assert line.end - line.begin == day


def test_what_is_not_a_transfer_is_skipped():
    found = read(
        "Date,Ref,Credit,Debit,Text\n"
        "01/11/2026,,,,Opening balance\n"
        "01/11/2026,FT1,5,,Total 3 courses\n"
        "01/11/2026,FT2,0,0.00,interest\n"
        "Date,Ref,Credit,Debit,Text\n"
        "30/11/2026,,5,,Total\n"
        ",,5,3,C\u1ed9ng doanh s\u1ed1/ Total volume\n"
        ",,5,,T\u1ed5ng s\u1ed1 ti\u1ec1n\n"
        "printed 30/11/2026,page 1,,,\n"
        "Accountant,,Director,,\n"
    )
    assert [line.names for line in found.lines] == [("FT1",)]
    assert found.skipped == (2, 4, 5, 6, 7, 8, 9, 10)


def test_a_reference_that_a_spreadsheet_has_shortened_is_none():
    found = read("date,ref,credit,debit\n13/11/2026,2.63340E+11,5,\n13/11/2026,FT26317001,5,", dates="dmy")

    assert [line.names for line in found.lines] == [(), ("FT26317001",)]
    [remark] = found.remarks
    assert remark.startswith(
        "1 reference in the column ref shortened by a spreadsheet program, and not used: '2.63340E+11'"
    )


def test_what_is_assumed_is_remarked():
    assert read("date,amount\n01/11/2026,5").remarks == (
        "dates are read as day/month/year: if they are not, give --dates mdy",
        "all amounts are read as incoming: no column and no sign tells the direction",
    )
    assert read("date,credit,debit\n13/11/2026,5,").remarks == ()
    assert read("date,credit\n13/11/2026,5").remarks == ()
    assert read("date,amount\n01/11/2026,5\n01/11/2026,-5", dates="mdy").remarks == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Date,Amount\n32/13/2026,5", r"line 2 of the statement: '32/13/2026' in the column Date is not a date: expected"),
        ("Date,Amount\nfoo,5", "line 2 .*'foo' in the column Date is not a date"),
        ("Date,Amount\n01/11/20266,", "line 2 .*'01/11/20266' in the column Date is not a date"),
        ("Date,Amount\n,5", "line 2 .*the date is missing"),
        ("Date,Amount,x\n01/11/2026,,a", "line 2 .*the amount is missing"),
        ("Date,Amount\n\n01/11/2026,12x", "line 3 .*'12x' in the column Amount is not an amount: expected"),
        ("Date,Amount\n01/11/2026,1.2.3", "line 2 .*'1.2.3' in the column Amount is not an amount: its separators|decimal"),
        ("Date,Credit,Debit\n01/11/2026,5,6", "line 2 .*both Credit and Debit are filled in: 5, 6"),
        ("Date,Amount,D/C\n01/11/2026,5,X", "line 2 .*'X' in the column D/C is not a direction: expected"),
        ("Date,Time,Amount\n01/11/2026,X,5", "line 2 .*'X' in the column Time is not a time: expected"),
        ("Date,Amount,CCY\n01/11/2026,5,X", "line 2 .*'X' in the column CCY is not the code of a currency"),
        ("Date,Amount,CCY\n01/11/2026,5 EUR,USD", "line 2 .*the amount '5 EUR' is not in USD"),
        ("Date,Amount\n01/11/2026,1.23456", "line 2 .*column Amount: '1.23456' is not a valid amount"),
        ("Date,Amount\n01/11/2026," + "9" * 27, "line 2 .*is not a valid amount: 0 to"),
        ("Date,Amount,CCY\n01/11/2026,300.000,USD", r"line 2 .*column Amount: 300\.000 is ambiguous"),
        ("Date,Amount\n01/11/2026,300,000", "line 2 .*it has 3 cells, the header 2"),
        ('Date,Amount\n01/11/2026,"1,5"\n01/11/2026,1.5', r"1\.5 \(line 3, column Amount\) and 1,5 \(line 2, column Amount\)"),
        ("Date,Amount\n01/13/2026,5\n13/01/2026,5", r"13/01/2026 \(line 3\) and 01/13/2026 \(line 2\)"),
        ('Date,Amount\n"01/11/2026,5\n' + "x,\n" * 70_000, "is not CSV: field larger"),
        ("Date,Amount\n", "the statement has no transfers: nothing stands below its header"),
        ("[]", "the statement has no transfers: its list is empty"),
        ('{"transactions": []}', "the statement has no transfers: its list is empty"),
        ("foo", "the statement is not CSV or JSON: none of its first lines has several columns"),
        ("x,Amount\n01/11/2026,5", "no column is recognised as the date: the statement's columns are x, Amount"),
        ("Date,x\n01/11/2026,5", "no column is recognised as the amount .*: the statement's columns are Date, x"),
        ("Date,Debit\n01/11/2026,5", "no column is recognised as the amount"),
        ("Date,Amount,So tien\n01/11/2026,5,6", "the columns Amount and So tien may both be the amount"),
        ('[{"date": "2026-11-01", "amount": [5]}]', r"element 1 of the statement: amount is neither a text nor a number: \[5\]"),
        ('[{"date": "2026-11-01", "amount": true}]', "element 1 .*amount is neither a text nor a number: True"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_by_its_place(text: str, message: str):
    with pytest.raises(InvalidInput, match=message) as error:
        read(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dates": "ydm"}, "'ydm' is not an order of dates: allowed is dmy, mdy, ymd"),
        ({"decimal": ";"}, "';' is not a decimal separator: allowed is . or ,"),
        ({"encoding": "x"}, "'x' is not a known encoding"),
    ],
)
def test_an_unknown_option_is_refused(options: dict[str, str], message: str):
    with pytest.raises(InvalidInput, match=message):
        read("date,amount\n2026-11-01,5", **options)


def test_a_zone_and_a_currency_of_the_shop_are_used():
    line = only(
        "date,amount\n01.11.2026;300,-".replace(",amount", ";amount"),
        zone=timezone(timedelta(hours=1)),
        currency="EUR",
    )
    assert (line.begin, line.amount) == (datetime(2026, 10, 31, 23, tzinfo=UTC), 300)


@pytest.mark.parametrize("between", ["\n", " "])
def test_document_s_number_below_the_date_is_a_name(between: str) -> None:
    statement = (
        '"Ng\xe0y giao d\u1ecbch\nTransaction Date\nS\u1ed1 CT/Doc No",Credit,Description\n'
        f'"13/11/2026{between}5078 - 12345",300000,DH1\n"14/11/2026{between}5079",300000,DH2\n'
    )

    lines = read(statement).lines

    assert [(line.names, line.begin.day) for line in lines] == [
        (("5078 - 12345",), 12),
        (("5079",), 13),
    ]


@pytest.mark.parametrize("cell", ["13/11/2026 25:99:00", "13/11/2026 about", "13/11/2026 8"])
def test_date_with_something_else_behind_it_is_refused(cell: str) -> None:
    with pytest.raises(InvalidInput, match=r"line 2 .* in the column Date is not a date"):
        read(f"Date,Credit,Description\n{cell},300000,DH1\n")


def test_columns_that_are_not_used_are_named_where_no_text_is_found() -> None:
    remark = read("Date,Text,Credit\n2026-11-13,DH1,300000\n").remarks[0]
    assert remark == "no column is recognised as the transfer's text; not used: Text (--map Text=content)"
    assert read("Date,Text,Credit\n2026-11-13,DH1,300000\n", columns={"Text": "content"}).remarks[1:] == ()


@pytest.mark.parametrize(
    ("amount", "currency", "remark"),
    [
        ("220,000", "VND", "220,000 (line 2) is read as 220, as --decimal , says; VND has no decimals"),
        ("220,000", "USD", None),
        ("220.000,5", "VND", None),
        ("220,00", "VND", None),
        ("220.000", "VND", None),
    ],
)
def test_an_amount_that_an_option_makes_small_is_remarked(amount: str, currency: str, remark: str | None):
    text = f'Date,Credit,CCY\n2026-11-01,"{amount}",{currency}'
    found = statements.read(text.encode(), Options(decimal=","))
    assert list(found.remarks) == ([remark] if remark else [])
