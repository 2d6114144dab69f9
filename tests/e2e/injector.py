"""Makes a running process do a system call, as code would that has taken it over: stops it where it
waits, sets the registers, lets it take one step. Needs root, and x86-64.

SPDX-License-Identifier: Apache-2.0
"""

import ctypes
import os
import platform
import random
import signal
import struct
import time

import pytest

needs_injector = pytest.mark.skipif(
    os.geteuid() != 0 or platform.machine() != "x86_64", reason="needs root on x86-64")

PTRACE_SINGLESTEP, PTRACE_GETREGS, PTRACE_SETREGS, PTRACE_ATTACH, PTRACE_DETACH = 9, 12, 13, 16, 17
READ, OPEN, SOCKET, CONNECT, BIND, LISTEN, EXECVE, PTRACE, BPF = 0, 2, 41, 42, 49, 50, 59, 101, 321
KILL, MOUNT, PROCESS_VM_READV, IO_URING_SETUP, USERFAULTFD = 62, 165, 310, 425, 323
OPENAT, MMAP, CLONE, GETPID, SENDMSG, SENDMMSG = 257, 9, 56, 39, 46, 307
ATTEMPTS_S = 20
BELOW_THE_STACK = 8192  # where nobody has anything
SYSCALL = b"\x0f\x05"

REGISTERS = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags "
             "rsp ss fs_base gs_base ds es fs gs").split()


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in REGISTERS]


libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, at=None):
    if libc.ptrace(request, pid, None, at) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request} of {pid}")


def is_in_call(pid, registers):
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(registers.rip - len(SYSCALL))
        return memory.read(len(SYSCALL)) == SYSCALL


def stop_in_call(pid):
    """Stops it where it is in a system call, which may take a few attempts; its registers."""
    deadline = time.monotonic() + ATTEMPTS_S
    while True:
        ptrace(PTRACE_ATTACH, pid)
        os.waitpid(pid, 0)
        registers = Registers()
        ptrace(PTRACE_GETREGS, pid, ctypes.byref(registers))
        if is_in_call(pid, registers):
            return registers
        ptrace(PTRACE_DETACH, pid)
        assert time.monotonic() < deadline, "it is never in a system call"
        # Long enough for it to get anywhere beside others, and never in step with it.
        time.sleep(random.uniform(0.002, 0.1))


def inject(pid, number, *arguments):
    """What the call returns there (negative: an errno), or "SIGSYS" if it was the process's end.
    Arguments that are bytes are put into its memory and become their address."""
    saved = stop_in_call(pid)
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        values = place(memory, saved.rsp - BELOW_THE_STACK, arguments)
    changed = Registers.from_buffer_copy(saved)
    changed.rip = saved.rip - len(SYSCALL)
    changed.rax, changed.orig_rax = number, ctypes.c_ulonglong(-1).value
    for register, value in zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), values):
        setattr(changed, register, value & 0xffffffffffffffff)
    ptrace(PTRACE_SETREGS, pid, ctypes.byref(changed))
    ptrace(PTRACE_SINGLESTEP, pid)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    result = Registers()
    ptrace(PTRACE_GETREGS, pid, ctypes.byref(result))
    ptrace(PTRACE_SETREGS, pid, ctypes.byref(saved))
    ptrace(PTRACE_DETACH, pid)
    return ctypes.c_longlong(result.rax).value


def place(memory, at, arguments):
    values = []
    for argument in arguments:
        if isinstance(argument, bytes):
            memory.seek(at)
            memory.write(argument + b"\0")
            values.append(at)
            at += (len(argument) + 16) // 16 * 16
        else:
            values.append(argument)
    return values


def ipv4(address, port):
    """A socket address as connect(2) and bind(2) take it."""
    return struct.pack("=H", 2) + struct.pack("!H", port) + bytes(map(int, address.split("."))) \
        + bytes(8)
