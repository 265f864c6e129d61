"""gdb commands for Ferrix: ferrix ps, ferrix bt TID, ferrix handles PID, ferrix runq.

    gdb target/image/kernel -x scripts/gdb/ferrix.py -ex 'target remote 127.0.0.1:1234'
    gdb target/image/kernel vmm-1234.core -x scripts/gdb/ferrix.py

They work on a live machine (all CPUs stopped) and on a core file of `vmm run --on-crash dump`. What they know of the
kernel's structures is in a table of the kernel's own, FERRIX_DEBUG (vmm/machine/src/debug.rs), so they need no type
information and fit whatever kernel it is.
"""

import gdb

NAME_LENGTH, ENTRY_SIZE, VERSION = 24, 32, 1
MOST_ENTRIES = 1024
MOST_ITEMS = 1 << 15
MOST_FRAMES = 64
KERNEL_HALF = 0xFFFF_8000_0000_0000
# The frame that an entry from user mode leaves (guest-kernel/src/arch/x86_64/frame.rs), in words.
FRAME = "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rdi rsi rdx rcx rax vector error rip cs rflags rsp ss".split()
SYSCALL = 0x100
# The name of a place in a handle table that names nothing (guest-kernel/src/object/table.rs).
VECTOR = 24  # bytes of a Vec
VACANT = 0xFFFF_FFFF
RIGHTS = "SEND RECEIVE READ WRITE DUP TRANSFER - - IRQ PHYSICAL POWER PROCESS PAGER IOPORT".split()


def read(address, length):
    return bytes(gdb.selected_inferior().read_memory(address, length))


def number(address, length=8):
    return int.from_bytes(read(address, length), "little")


def address(symbol):
    language = gdb.parameter("language")
    gdb.execute("set language c")
    try:
        return int(gdb.parse_and_eval(f"(unsigned long)&{symbol}"))
    except gdb.error as error:
        raise gdb.GdbError(f"the kernel's symbols are missing ({error}): start gdb with target/image/kernel")
    finally:
        gdb.execute(f"set language {language}")


class Kernel:
    """The kernel's structures, by the names of its table."""

    def __init__(self):
        table = address("FERRIX_DEBUG")
        self.rows = {}
        for index in range(MOST_ENTRIES):
            try:
                entry = read(table + index * ENTRY_SIZE, ENTRY_SIZE)
            except gdb.MemoryError:
                raise gdb.GdbError("the kernel is not mapped yet: let it start first")
            name = entry[:NAME_LENGTH].rstrip(b"\0").decode("ascii", "replace")
            if not name:
                break
            self.rows[name] = int.from_bytes(entry[NAME_LENGTH:], "little")
        if self.rows.get("version") != VERSION:
            raise gdb.GdbError(f"the kernel's table is of version {self.rows.get('version')}, not {VERSION}")

    def __getitem__(self, name):
        return self.rows[name]

    def word(self, object, field, length=8):
        return number(object + self[field], length)

    def name(self, kind, value):
        names = (name for name, number in self.rows.items() if number == value and name.startswith(kind))
        return next(names, kind + "?").removeprefix(kind)

    def chain(self, first, field):
        """A list's items."""
        for _ in range(MOST_ITEMS):
            if not first:
                return
            yield first
            first = self.word(first, field)

    def processes(self):
        used = read(self["pids"] + self["ids.used"], self["ids.count"] // 8)
        bits = int.from_bytes(used, "little")
        slots = self["pids"] + self["ids.slots"]
        while bits:
            lowest = bits & -bits
            yield number(slots + 8 * (lowest.bit_length() - 1))
            bits ^= lowest

    def threads(self, process):
        return self.chain(self.word(process, "process.threads"), "thread.sibling")

    def arguments(self, process):
        at = process + self["process.arguments"]
        text = read(at + 4, min(number(at, 4), 128)).rstrip(b"\0")
        return text.replace(b"\0", b" ").decode("utf-8", "replace")

    def cpus(self):
        return [self["cpus"] + n * self["cpu.size"] for n in range(number(self["cpu_count"]))]

    def process(self, pid):
        for process in self.processes():
            if self.word(process, "process.pid", 4) == pid:
                return process
        raise gdb.GdbError(f"no process {pid}: ferrix ps lists them")

    def thread(self, tid):
        for process in self.processes():
            for thread in self.threads(process):
                if self.word(thread, "thread.tid", 4) == tid:
                    return thread
        raise gdb.GdbError(f"no thread {tid}: ferrix ps lists them")

    def state(self, thread):
        return self.name("state.", self.word(thread, "thread.state", 1))


def place(address):
    """An address with the name of its function, as `info symbol` has it."""
    text = gdb.execute(f"info symbol {address:#x}", to_string=True)
    line = gdb.find_pc_line(address)
    where = f" at {line.symtab.filename}:{line.line}" if line.symtab else ""
    name = "" if text.startswith("No symbol") else " " + text.split(" in section")[0].strip()
    return f"{address:#018x}{name}{where}"


class Ferrix(gdb.Command):
    """What Ferrix does: ferrix ps, ferrix bt TID, ferrix handles PID, ferrix runq."""

    def __init__(self):
        super().__init__("ferrix", gdb.COMMAND_STATUS, prefix=True)


class Ps(gdb.Command):
    """ferrix ps: all processes and threads, with state, CPU and priority."""

    def __init__(self):
        super().__init__("ferrix ps", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        kernel = Kernel()
        print("  PID  PPID   TID STATE    CPU PRI COMMAND")
        for process in kernel.processes():
            pid, parent = kernel.word(process, "process.pid", 4), kernel.word(process, "process.parent")
            parent = kernel.word(parent, "process.pid", 4) if parent else 0
            command, threads = kernel.arguments(process), list(kernel.threads(process))
            if not threads:
                life = kernel.name("life.", kernel.word(process, "process.life", 1))
                print(f"{pid:5} {parent:5} {'-':>5} {life:8}   -   - {command}")
            for thread in threads:
                tid = kernel.word(thread, "thread.tid", 4)
                cpu, priority = kernel.word(thread, "thread.cpu", 1), kernel.word(thread, "thread.priority", 1)
                print(f"{pid:5} {parent:5} {tid:5} {kernel.state(thread):8} {cpu:3} {priority:3} {command}")


class Backtrace(gdb.Command):
    """ferrix bt TID: where a thread is in the kernel, and where it entered it from user mode."""

    def __init__(self):
        super().__init__("ferrix bt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        kernel = Kernel()
        thread = kernel.thread(integer(argument, "ferrix bt TID"))
        for number, cpu in enumerate(kernel.cpus()):
            if kernel.word(cpu, "cpu.current") == thread:
                print(f"runs on CPU {number}:")
                return running(number)
        server = kernel.word(thread, "thread.server")
        waits = f", for process {kernel.word(server, 'process.pid', 4)}" if server else ""
        print(f"{kernel.state(thread)}{waits}:")
        top = kernel.word(thread, "thread.rsp0")
        bottom = top - kernel["frame.size"]
        stack = kernel.word(thread, "thread.rsp")
        depth = 0
        if stack != bottom:
            depth = kernel_frames(stack, top)
        user_frame(depth, bottom)


def running(cpu):
    """gdb's own backtrace, of the CPU's thread."""
    before = gdb.selected_thread()
    # In a core the CPU that died comes first; threads are numbered from it, ids are not.
    wanted = next((t for t in gdb.selected_inferior().threads() if max(t.ptid[1:]) == cpu + 1), before)
    wanted.switch()
    gdb.execute("backtrace")
    before.switch()


def kernel_frames(stack, top):
    """The callers of a thread that was switched away from: its registers lie on its stack, then the way back."""
    *_, frame, address = (number(stack + 8 * word) for word in range(7))
    print(f"#0  {place(address)}")
    for depth in range(1, MOST_FRAMES):
        if not stack < frame < top:
            return depth
        frame, address = number(frame), number(frame + 8)
        if address < KERNEL_HALF:
            return depth
        print(f"#{depth:<2} {place(address)}")
    return MOST_FRAMES


def user_frame(depth, at):
    registers = {name: number(at + 8 * index) for index, name in enumerate(FRAME)}
    why = "a system call" if registers["vector"] == SYSCALL else f"vector {registers['vector']}"
    print(f"#{depth:<2} {registers['rip']:#018x} in user mode, which {why} left")
    for names in FRAME[:15:], ("rip", "rsp", "rflags", "cs", "ss"):
        print("    " + " ".join(f"{name}={registers[name]:#x}" for name in names))


class Handles(gdb.Command):
    """ferrix handles PID: what a process has handles to, with their rights."""

    def __init__(self):
        super().__init__("ferrix handles", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        kernel = Kernel()
        process = kernel.process(integer(argument, "ferrix handles PID"))
        table = process + kernel["process.handles"]
        print("    HANDLE KIND     WHAT               RIGHTS")
        for at in self.places(kernel, table):
            kind = kernel.name("object.", kernel.word(at, "place.object", 1))
            name, rights = kernel.word(at, "place.name", 4), kernel.word(at, "place.rights", 4)
            if name == VACANT:
                continue
            what = number(at + kernel["place.object"] + 8)
            print(f"{name:#010x} {kind:8} {self.what(kernel, kind, what):18} {self.rights(rights)}")

    @classmethod
    def places(cls, kernel, table):
        yield from cls.items(kernel, table + kernel["handles.places"], kernel["place.size"])
        far = number(table + kernel["handles.far"])
        for piece in cls.items(kernel, far + kernel["far.pieces"], VECTOR) if far else ():
            yield from cls.items(kernel, piece, kernel["place.size"])

    @staticmethod
    def items(kernel, vector, size):
        words = {offset: number(vector + offset) for offset in range(0, VECTOR, 8)}
        first = words.pop(kernel["vec.pointer"])
        # Of length and capacity.
        return (first + index * size for index in range(min(words.values())))

    @staticmethod
    def what(kernel, kind, what):
        if kind == "process":
            return f"pid {kernel.word(what, 'process.pid', 4)}"
        return "" if kind in ("resource", "ports") else f"{what:#x}"

    @staticmethod
    def rights(rights):
        names = [name for bit, name in enumerate(RIGHTS) if rights >> bit & 1]
        return " ".join(names + (["NO_INHERIT"] if rights >> 31 else []))


class RunQueues(gdb.Command):
    """ferrix runq: what runs on each CPU, and what waits for it, the most urgent first."""

    def __init__(self):
        super().__init__("ferrix runq", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        kernel = Kernel()
        for index, cpu in enumerate(kernel.cpus()):
            sched = cpu + kernel["cpu.sched"]
            queue = sched + kernel["sched.queue"]
            current, idle = kernel.word(cpu, "cpu.current"), kernel.word(sched, "sched.idle")
            runs = "idle" if current in (0, idle) else self.thread(kernel, current)
            print(f"CPU {index}: runs {runs}; {kernel.word(queue, 'queue.length', 4)} wait")
            for priority, thread in sorted(self.waiting(kernel, queue), key=lambda row: -row[0]):
                print(f"    priority {priority:3}: {self.thread(kernel, thread)}")

    @staticmethod
    def waiting(kernel, queue):
        """Lists below the ring's places are priorities; the ring turns as its threads age."""
        ring, size = kernel["queue.ring_places"], kernel["queue.list_size"]
        turned = kernel.word(queue, "queue.first", 1)
        for list in range(kernel["queue.places"]):
            priority = list if list < ring else kernel["queue.lowest"] + (list - ring - turned) % kernel["queue.ring"]
            first = number(queue + kernel["queue.lists"] + list * size)
            for thread in kernel.chain(first, "thread.queued"):
                yield priority, thread

    @staticmethod
    def thread(kernel, thread):
        process = kernel.word(thread, "thread.process")
        tid = kernel.word(thread, "thread.tid", 4)
        return f"thread {tid} ({kernel.arguments(process) if process else 'idle'})"


def integer(argument, usage):
    try:
        return int(argument, 0)
    except ValueError:
        raise gdb.GdbError(f"usage: {usage}")


for command in (Ferrix, Ps, Backtrace, Handles, RunQueues):
    command()
