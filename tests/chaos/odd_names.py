"""Names that file systems allow and users choose."""

PIECES = [*"abz09 []()<>*?{}$#%&!'\"`\\|;:,=~^@+-._\n\t", "ü", "猫", "é", "\u202e", "..", "%s"]
FIRST = ["-", "--", "~", ".", " ", "#"]
BYTES = ["\udcff", "\udce9"]  # Not UTF-8.
# One in `LONG` names has 250 characters, one in `BROKEN` may not be UTF-8, and one in `LED` begins
# with one of `FIRST`.
LONG, BROKEN, LED = 20, 10, 4


def draw_name(numbers):
    """A name, drawn by a `random.Random`."""
    length = 250 if numbers.randrange(LONG) == 0 else numbers.randrange(1, 12)
    pieces = PIECES + (BYTES if numbers.randrange(BROKEN) == 0 else [])
    name = numbers.choice(FIRST) if numbers.randrange(LED) == 0 else ""
    name = (name + "".join(numbers.choice(pieces) for _ in range(length)))[:250]
    return name if name.strip(".") else "dots"


def as_typed(name, folder, numbers):
    """The path of `name` in `folder`, which is the home folder and the working directory."""
    relative = f"./{name}" if name.startswith("~") else name
    return numbers.choice([f"{folder}/{name}", f"~/{name}", relative])
