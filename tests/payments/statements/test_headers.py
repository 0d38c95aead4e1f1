"""What names of columns mean."""

from __future__ import annotations

import pytest

from orderctl.payments.statements.headers import meaning, meanings, normal
from orderctl.payments.statements.options import Field


@pytest.mark.parametrize(
    ("name", "plain"),
    [("  S\u1ed1 Ti\u1ec1n  (VN\u0110) ", "so tien vnd"), ("Ng\xe0y\nGD", "ngay gd"), ("transferAmount", "transfer amount"),
     ("bank_brand_name", "bank brand name"), ("Nga\u0300y", "ngay"), ("\u0110", "d"), ("+/-", "")],
)  # fmt: skip
def test_names_are_compared_plainly(name: str, plain: str):
    assert normal(name) == plain


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("date", "Ng\xe0y giao d\u1ecbch; NGAY GD; Ng\xe0y GD; Transaction Date; Value date; Date; Ng\xe0y h\u1ea1ch to\xe1n"),
        ("date", "Ng\xe0y giao d\u1ecbch/ Transaction Date; Ng\xe0y giao d\u1ecbch (Date); Ngay giao dich Transaction date; when; happened_at"),
        ("time", "Th\u1eddi gian; Time; Gi\u1edd"),
        ("credit", "Ghi c\xf3; PS C\xf3; S\u1ed1 ti\u1ec1n ghi c\xf3; Credit; Amount in; Paid in; Deposit; C\xf3; S\u1ed1 ti\u1ec1n ghi c\xf3\nCredit; amount_in"),
        ("credit", "Ph\xe1t sinh c\xf3; Credit amount (VND); Ghi c\xf3/Credit; Haben"),
        ("debit", "Ghi n\u1ee3; PS N\u1ee3; Debit; Withdrawal; Amount out; N\u1ee3; Soll; S\u1ed1 ti\u1ec1n ghi n\u1ee3/ Debit amount"),
        ("amount", "S\u1ed1 ti\u1ec1n; Amount; So tien (VND); Amount VND; Betrag; transferAmount; Ph\xe1t sinh"),
        ("direction", "+/-; D/C; Dr/Cr; Lo\u1ea1i; Type; in/out; N\u1ee3/C\xf3; transferType; direction"),
        ("content", "N\u1ed9i dung; Di\u1ec5n gi\u1ea3i; M\xf4 t\u1ea3; Description; Remark; Details; N\u1ed9i dung chi ti\u1ebft/ Transactions in detail"),
        ("reference", "S\u1ed1 tham chi\u1ebfu; M\xe3 giao d\u1ecbch; S\u1ed1 CT; S\u1ed1 b\xfat to\xe1n; Reference; Ref no.; Transaction ID; FT; tid; referenceCode"),
        ("id", "id; provider_id"),
        ("code", "code; M\xe3 \u0111\u01a1n h\xe0ng"),
        ("balance", "S\u1ed1 d\u01b0; Balance; accumulated; cusum_balance; S\u1ed1 d\u01b0 (VND)"),
        ("account", "S\u1ed1 t\xe0i kho\u1ea3n; Account; accountNumber; bank_sub_acc_id"),
        ("bank", "Ng\xe2n h\xe0ng; Bank; gateway; bankName; bank_brand_name"),
        ("currency", "Lo\u1ea1i ti\u1ec1n; Currency; W\xe4hrung"),
        (None, "STT; No.; No; #; Foo; T\xe0i kho\u1ea3n \u0111\u1ed1i \u1ee9ng; Ghi n\u1ee3 / Ng\xe0y; created_at; bank_account_id; " + "x" * 200),
    ],
)  # fmt: skip
def test_a_name_means_a_field(field: str | None, names: str):
    for name in names.split("; "):
        found = meaning(name)
        assert (found and found.field) == field, name


def test_the_currency_beside_a_name_is_read():
    assert [meaning(name).currency for name in ("Amount (USD)", "So tien VND", "Amount")] == [
        "USD",
        "VND",
        None,
    ]


def test_no_is_a_debit_beside_co_only():
    assert [found and found.field for found in meanings(["No", "Co"])] == [Field.DEBIT, Field.CREDIT]
    assert meanings(["No", "Credit"])[0] is None


def test_the_id_of_the_ledger_names_no_transfer():
    assert [found and found.field for found in meanings(["id", "provider_id"])] == [None, Field.ID]
