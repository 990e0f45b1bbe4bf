"""What lies in a person's run and must never leave it."""

from __future__ import annotations

SECRET = "the-person-is-Ana-Anic"

PLANTED = (
    *(f"secret-{number}.txt" for number in range(8)),
    *(f"model/private-{number}.json" for number in range(4)),
    *("model/diary.txt", "model/pytorch_model.bin", "model/.env", "model/tokenizer.model", "model/texts/one.txt"),
    *("data.zip", ".env", "notes/README.md"),
)
