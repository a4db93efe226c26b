"""What makes a task run again and what does not, kind by kind, each with its neighbours: only the source is read."""
from __future__ import annotations

import colorsys
import decimal
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskproc.tasks.source import same_source, what_changed
from tests.tasks.test_generated_projects import quiet, told, write

__all__ = ["quiet"]

HEAD = "from taskproc import Const, Requires, RequiresList, TaskBase\n"

SEEN = [
    pytest.param(
        {
            'tasks.py': """
import functools
N = "a"
class C:
    def go_a(self): return 3

class T(TaskBase):
    def run_task(self):
        return functools.reduce(getattr, ["go_" + N], C())()

def make(): return T()
""",
        },
        ('tasks.py', 'return 3', 'return 7'),
        id='getattr handed on',
    ),
    pytest.param(
        {
            'tasks.py': """
get = getattr
N = "a"
class C:
    def go_a(self): return 3

class T(TaskBase):
    def run_task(self):
        return get(C(), "go_" + N)()

def make(): return T()
""",
        },
        ('tasks.py', 'return 3', 'return 7'),
        id='getattr under another name',
    ),
    pytest.param(
        {
            'tasks.py': """
import builtins
N = "a"
class C:
    def go_a(self): return 3

class T(TaskBase):
    def run_task(self):
        return builtins.getattr(C(), "go_" + N)()

def make(): return T()
""",
        },
        ('tasks.py', 'return 3', 'return 7'),
        id='getattr of builtins',
    ),
    pytest.param(
        {
            'tasks.py': """
import inspect
N = "a"
class C:
    def go_a(self): return 3

class T(TaskBase):
    def run_task(self):
        return inspect.getattr_static(C(), "go_" + N)(0)

def make(): return T()
""",
        },
        ('tasks.py', 'return 3', 'return 7'),
        id='getattr_static',
    ),
    pytest.param(
        {
            'tasks.py': """
from operator import methodcaller
N = "a"
class C:
    def go_a(self): return 3

class T(TaskBase):
    def run_task(self):
        return methodcaller("go_" + N)(C())

def make(): return T()
""",
        },
        ('tasks.py', 'return 3', 'return 7'),
        id='methodcaller of a computed name',
    ),
    pytest.param(
        {
            'tasks.py': """
import operator
N = "a"
class C:
    def go_a(self): return 3

class T(TaskBase):
    def run_task(self):
        return operator.attrgetter("__doc__", "go_" + N)(C())[1]()

def make(): return T()
""",
        },
        ('tasks.py', 'return 3', 'return 7'),
        id='attrgetter of computed names',
    ),
    pytest.param(
        {
            'one.py': """
def f(): return 3
""",
            'two.py': """
__all__ = ["g"]
def g(): return 1
def f(): return 7
""",
            'tasks.py': """
from one import *
from two import *

class T(TaskBase):
    def run_task(self):
        return f()

def make(): return T()
""",
        },
        ('two.py', '["g"]', '["g", "f"]'),
        id='__all__ of one of two star imports',
    ),
    pytest.param(
        {
            'tasks.py': """
class O(TaskBase):
    A, B = 1, 2

class T(TaskBase):
    def run_task(self):
        return O.A

def make(): return T()
""",
        },
        ('tasks.py', '1, 2', '7, 2'),
        id='tuple const of other task',
    ),
    pytest.param(
        {
            'tasks.py': """
class O(TaskBase):
    if True:
        A = 1
    else:
        A = 2

class T(TaskBase):
    def run_task(self):
        return O.A

def make(): return T()
""",
        },
        ('tasks.py', 'A = 1', 'A = 7'),
        id='const under if in other task',
    ),
    pytest.param(
        {
            'tasks.py': """
class O(TaskBase):
    B = 3
    A = B * 2

class T(TaskBase):
    def run_task(self):
        return O.A

def make(): return T()
""",
        },
        ('tasks.py', 'B = 3', 'B = 7'),
        id='const computed from const',
    ),
    pytest.param(
        {
            'tasks.py': """
def g(): return 3
class O(TaskBase):
    A = g()

class T(TaskBase):
    def run_task(self):
        return O.A

def make(): return T()
""",
        },
        ('tasks.py', 'return 3', 'return 7'),
        id='const computed by function',
    ),
    pytest.param(
        {
            'tasks.py': """
class O(TaskBase):
    A = {}
    A['x'] = 3

class T(TaskBase):
    def run_task(self):
        return O.A['x']

def make(): return T()
""",
        },
        ('tasks.py', '= 3', '= 7'),
        id="table in other task's body",
    ),
    pytest.param(
        {
            'h.py': """
def f(): return 3
""",
            'tasks.py': """
class O(TaskBase):
    from h import f
    f = staticmethod(f)

class T(TaskBase):
    def run_task(self):
        return O.f()

def make(): return T()
""",
        },
        ('h.py', '3', '7'),
        id="import in other task's body",
    ),
    pytest.param(
        {
            'tasks.py': """
class O(TaskBase):
    A = 3

class T(TaskBase):
    def run_task(self):
        o = O; return o.A

def make(): return T()
""",
        },
        ('tasks.py', 'A = 3', 'A = 7'),
        id='local alias of task class',
    ),
    pytest.param(
        {
            'tasks.py': """
class O(TaskBase):
    A = 3

class T(TaskBase):
    def run_task(self):
        return getattr(O, 'A')

def make(): return T()
""",
        },
        ('tasks.py', 'A = 3', 'A = 7'),
        id='getattr on task class',
    ),
    pytest.param(
        {
            'tasks.py': """
class O(TaskBase):
    A = 3

class T(TaskBase):
    def run_task(self):
        return [k.A for k in (O,)]

def make(): return T()
""",
        },
        ('tasks.py', 'A = 3', 'A = 7'),
        id='loop over task classes',
    ),
    pytest.param(
        {
            'tasks.py': """
class O(TaskBase):
    A = 3
R = {'o': O}

class T(TaskBase):
    def run_task(self):
        return R['o'].A

def make(): return T()
""",
        },
        ('tasks.py', 'A = 3', 'A = 7'),
        id='task class in a table',
    ),
    pytest.param(
        {
            'tasks.py': """
class M:
    A = 3
class O(M, TaskBase):
    pass

class T(TaskBase):
    def run_task(self):
        return O.A

def make(): return T()
""",
        },
        ('tasks.py', 'A = 3', 'A = 7'),
        id='mixin const of other task',
    ),
    pytest.param(
        {
            'tasks.py': """
class O(TaskBase):
    A = 3
O.A = 5

class T(TaskBase):
    def run_task(self):
        return O.A

def make(): return T()
""",
        },
        ('tasks.py', 'A = 5', 'A = 7'),
        id='attr set on other task later',
    ),
    pytest.param(
        {
            'tasks.py': """
class O(TaskBase):
    def __init__(self, n): self.n = n
    def m(self): return self.n + 3

class T(TaskBase):
    def run_task(self):
        return O(2).m()

def make(): return T()
""",
        },
        ('tasks.py', '+ 3', '+ 7'),
        id='instance method of a task made inside',
    ),
    pytest.param(
        {
            'tasks.py': """
class O(TaskBase):
    def __init__(self, n): self.n = n
    @property
    def m(self): return self.n + 3

class T(TaskBase):
    def run_task(self):
        return O(2).m

def make(): return T()
""",
        },
        ('tasks.py', '+ 3', '+ 7'),
        id='property of a task instance',
    ),
    pytest.param(
        {
            'tasks.py': """
class O(TaskBase):
    def __init__(self, n): self.extra = n + 3

class T(TaskBase):
    def run_task(self):
        o = O(2); return o.extra

def make(): return T()
""",
        },
        ('tasks.py', '+ 3', '+ 7'),
        id='init of a task instance',
    ),
    pytest.param(
        {
            'h.py': """
X = 1
""",
            'tasks.py': """
import h
setattr(h, 'X', 3)

class T(TaskBase):
    def run_task(self):
        return h.X

def make(): return T()
""",
        },
        ('tasks.py', "'X', 3", "'X', 7"),
        id='setattr on module',
    ),
    pytest.param(
        {
            'h.py': """
X = 1
""",
            'tasks.py': """
import h
h.__dict__['X'] = 3

class T(TaskBase):
    def run_task(self):
        return h.X

def make(): return T()
""",
        },
        ('tasks.py', '= 3', '= 7'),
        id='module __dict__',
    ),
    pytest.param(
        {
            'h.py': """
X = 1
""",
            'tasks.py': """
import h
vars(h)['X'] = 3

class T(TaskBase):
    def run_task(self):
        return h.X

def make(): return T()
""",
        },
        ('tasks.py', '= 3', '= 7'),
        id='vars(module)',
    ),
    pytest.param(
        {
            'tasks.py': """
globals()['X'] = 3

class T(TaskBase):
    def run_task(self):
        return X

def make(): return T()
""",
        },
        ('tasks.py', '= 3', '= 7'),
        id='globals()',
    ),
    pytest.param(
        {
            'tasks.py': """
globals().update(X=3)

class T(TaskBase):
    def run_task(self):
        return X

def make(): return T()
""",
        },
        ('tasks.py', '=3', '=7'),
        id='globals().update',
    ),
    pytest.param(
        {
            'tasks.py': """
exec('X = 3')

class T(TaskBase):
    def run_task(self):
        return X

def make(): return T()
""",
        },
        ('tasks.py', '= 3', '= 7'),
        id='exec',
    ),
    pytest.param(
        {
            'tasks.py': """
import sys
X = 1
sys.modules[__name__].X = 3

class T(TaskBase):
    def run_task(self):
        return X

def make(): return T()
""",
        },
        ('tasks.py', '.X = 3', '.X = 7'),
        id='sys.modules[__name__]',
    ),
    pytest.param(
        {
            'tasks.py': """
import sys
X = 1
setattr(sys.modules[__name__], 'X', 3)

class T(TaskBase):
    def run_task(self):
        return X

def make(): return T()
""",
        },
        ('tasks.py', "'X', 3", "'X', 7"),
        id='setattr sys.modules[__name__]',
    ),
    pytest.param(
        {
            'h.py': """

""",
            'tasks.py': """
import h
h.NEW = 3

class T(TaskBase):
    def run_task(self):
        return h.NEW

def make(): return T()
""",
        },
        ('tasks.py', '= 3', '= 7'),
        id='new attr set on module only',
    ),
    pytest.param(
        {
            'tasks.py': """
from typing import NamedTuple
class P(NamedTuple):
    x: int
    def m(self): return self.x + 3

class T(TaskBase):
    def __init__(self, p): self.p = p
    def run_task(self):
        return self.p.m()
def make(): return T(P(1))
""",
        },
        ('tasks.py', '+ 3', '+ 7'),
        id='argument namedtuple method',
    ),
    pytest.param(
        {
            'b.py': """
class B:
    def m(self): return 3
""",
            'a.py': """
from dataclasses import dataclass
from b import B
@dataclass(frozen=True)
class P(B):
    x: int
""",
            'tasks.py': """
from a import P

class T(TaskBase):
    def __init__(self, p): self.p = p
    def run_task(self):
        return self.p[0].m()
def make(): return T([P(1)])
""",
        },
        ('b.py', '3', '7'),
        id='argument in list, inherited method',
    ),
    pytest.param(
        {
            'tasks.py': """
import dataclasses
class Outer:
    @dataclasses.dataclass(frozen=True)
    class P:
        x: int
        def m(self): return self.x + 3

class T(TaskBase):
    def __init__(self, p): self.p = p
    def run_task(self):
        return self.p.m()
def make(): return T(Outer.P(1))
""",
        },
        ('tasks.py', '+ 3', '+ 7'),
        id='argument nested class',
    ),
    pytest.param(
        {
            'tasks.py': """
import dataclasses
@dataclasses.dataclass(frozen=True)
class P:
    x: int
    def __add__(self, o): return self.x + 3

class T(TaskBase):
    def __init__(self, p): self.p = p
    def run_task(self):
        return self.p + 1
def make(): return T(P(1))
""",
        },
        ('tasks.py', '+ 3', '+ 7'),
        id='argument dunder',
    ),
    pytest.param(
        {
            'h.py': """
K = 3
def f(): return K
""",
            'a.py': """
import dataclasses
import h
@dataclasses.dataclass(frozen=True)
class P:
    x: int
    @property
    def m(self): return h.f()
""",
            'tasks.py': """
from a import P

class T(TaskBase):
    def __init__(self, p): self.p = p
    def run_task(self):
        return self.p.m
def make(): return T(P(1))
""",
        },
        ('h.py', '3', '7'),
        id='argument class calls a helper',
    ),
    pytest.param(
        {
            'pk/__init__.py': """
import importlib
_L = {'f': '.impl'}
def __getattr__(name):
    return getattr(importlib.import_module(_L[name], __name__), name)
""",
            'pk/impl.py': """
def f(): return 3
""",
            'tasks.py': """
import pk

class T(TaskBase):
    def run_task(self):
        return pk.f()

def make(): return T()
""",
        },
        ('pk/impl.py', '3', '7'),
        id='dynamic import by table',
    ),
    pytest.param(
        {
            'plugins/__init__.py': """

""",
            'plugins/a.py': """
def f(): return 3
""",
            'tasks.py': """
class T(TaskBase):
    n = 'a'
    def run_task(self):
        import importlib; return importlib.import_module(f'plugins.{self.n}').f()

def make(): return T()
""",
        },
        ('plugins/a.py', '3', '7'),
        id='import_module f-string',
    ),
    pytest.param(
        {
            'h.py': """
def f(): return 3
""",
            'tasks.py': """
def f(): return 1
from h import *

class T(TaskBase):
    def run_task(self):
        return f()

def make(): return T()
""",
        },
        ('h.py', '3', '7'),
        id='star over a binding',
    ),
    pytest.param(
        {
            'pk/__init__.py': """
from . import sub
""",
            'pk/sub.py': """
def f(): return 3
""",
            'tasks.py': """
import pk

class T(TaskBase):
    def run_task(self):
        return pk.sub.f()

def make(): return T()
""",
        },
        ('pk/sub.py', '3', '7'),
        id='package re-export of submodule',
    ),
    pytest.param(
        {
            'tasks.py': """
import random
random.seed(3)

class T(TaskBase):
    def run_task(self):
        return random.random()

def make(): return T()
""",
        },
        ('tasks.py', 'seed(3)', 'seed(7)'),
        id='random.seed',
    ),
    pytest.param(
        {
            'tasks.py': """
import decimal
decimal.getcontext().prec = 5

class T(TaskBase):
    def run_task(self):
        return str(decimal.Decimal(1)/3)

def make(): return T()
""",
        },
        ('tasks.py', 'prec = 5', 'prec = 7'),
        id='decimal context',
    ),
    pytest.param(
        {
            'tasks.py': """
import colorsys
colorsys.rgb_to_hls = lambda x: 3

class T(TaskBase):
    def run_task(self):
        return colorsys.rgb_to_hls(1)

def make(): return T()
""",
        },
        ('tasks.py', '3', '7'),
        id='patched library function',
    ),
    pytest.param(
        {
            'm.py': """
REG = {}
def reg(f):
    REG[f.__name__] = f
    return f
""",
            'plug.py': """
from m import reg
@reg
def a(): return 3
""",
            'tasks.py': """
import plug
from m import REG

class T(TaskBase):
    def run_task(self):
        return REG['a']()

def make(): return T()
""",
        },
        ('plug.py', '3', '7'),
        id='class-level registration in another module',
    ),
    pytest.param(
        {
            'm.py': """
class R:
    def __init__(self): self.d = {}
    def register(self, n):
        def w(f):
            self.d[n] = f
            return f
        return w
R1 = R()
""",
            'plug.py': """
from m import R1
@R1.register('a')
def a(): return 3
""",
            'tasks.py': """
import plug
from m import R1

class T(TaskBase):
    def run_task(self):
        return R1.d['a']()

def make(): return T()
""",
        },
        ('plug.py', '3', '7'),
        id='registry object with method decorator',
    ),
    pytest.param(
        {
            'm.py': """
class R:
    d = {}
    @classmethod
    def add(cls, k):
        cls.d[k.__name__] = k
        return k
@R.add
class A:
    def go(self): return 3
""",
            'tasks.py': """
from m import R

class T(TaskBase):
    def run_task(self):
        return R.d['A']().go()

def make(): return T()
""",
        },
        ('m.py', '3', '7'),
        id='registered by a class decorator with class attr',
    ),
    pytest.param(
        {
            'm.py': """
from functools import singledispatch
@singledispatch
def area(x): return 0
""",
            'plug.py': """
from m import area
@area.register(int)
def _(x): return 3
""",
            'tasks.py': """
import plug
from m import area

class T(TaskBase):
    def run_task(self):
        return area(1)

def make(): return T()
""",
        },
        ('plug.py', '3', '7'),
        id='singledispatch in another module',
    ),
    pytest.param(
        {
            'm.py': """
from functools import singledispatch
@singledispatch
def area(x): return 0
@area.register
def _(x: int): return 3
""",
            'tasks.py': """
from m import area

class T(TaskBase):
    def run_task(self):
        return area(1)

def make(): return T()
""",
        },
        ('m.py', 'x: int', 'x: str'),
        id='dispatch annotation',
    ),
    pytest.param(
        {
            'm.py': """
from functools import singledispatch
@singledispatch
def area(x): return 0
def g(x: int): return 3
area.register(g)
""",
            'tasks.py': """
from m import area

class T(TaskBase):
    def run_task(self):
        return area(1)

def make(): return T()
""",
        },
        ('m.py', 'x: int', 'x: str'),
        id='register(f) annotation',
    ),
    pytest.param(
        {
            'm.py': """
REG = {}
class D:
    def __set_name__(self, o, n): REG[n] = 3
class K:
    d = D()
""",
            'tasks.py': """
from m import REG

class T(TaskBase):
    def run_task(self):
        return REG['d']

def make(): return T()
""",
        },
        ('m.py', '3', '7'),
        id='__set_name__',
    ),
    pytest.param(
        {
            'm.py': """
class P:
    k = {}
    def __init_subclass__(cls): P.k[cls.__name__] = cls
class Q(P): pass
class A(Q):
    def go(self): return 3
""",
            'tasks.py': """
from m import P

class T(TaskBase):
    def run_task(self):
        return P.k['A']().go()

def make(): return T()
""",
        },
        ('m.py', '3', '7'),
        id='subclasses two levels',
    ),
    pytest.param(
        {
            'm.py': """
class P: pass
""",
            'plug.py': """
from m import P
class A(P):
    def go(self): return 3
""",
            'tasks.py': """
import plug
from m import P

class T(TaskBase):
    def run_task(self):
        return P.__subclasses__()[0]().go()

def make(): return T()
""",
        },
        ('plug.py', '3', '7'),
        id='__subclasses__ elsewhere',
    ),
    pytest.param(
        {
            'a.py': """
def f(): return 1
""",
            'b.py': """
def f(): return 2
""",
            'tasks.py': """
FLAG = True
if FLAG:
    from a import f
else:
    from b import f

class T(TaskBase):
    def run_task(self):
        return f()

def make(): return T()
""",
        },
        ('tasks.py', 'FLAG = True', 'FLAG = False'),
        id='conditional flag',
    ),
    pytest.param(
        {
            'a.py': """
def f(): return 1
""",
            'b.py': """
def f(): return 2
""",
            'tasks.py': """
from a import f
from b import f

class T(TaskBase):
    def run_task(self):
        return f()

def make(): return T()
""",
        },
        ('tasks.py', 'from a import f\nfrom b import f', 'from b import f\nfrom a import f'),
        id='order of imports',
    ),
    pytest.param(
        {
            'tasks.py': """
class B:
    def f(self): return 1
class A(B):
    def g(self): return 2
    def f(self): return 3

class T(TaskBase):
    def run_task(self):
        return A().f()

def make(): return T()
""",
        },
        ('tasks.py', '    def f(self): return 3\n', ''),
        id='method moved between classes',
    ),
    pytest.param(
        {
            'tasks.py': """
import json
class S: pass
class E(json.JSONEncoder):
    def default(self, o): return 3

class T(TaskBase):
    def run_task(self):
        return json.dumps(S(), cls=E)

def make(): return T()
""",
        },
        ('tasks.py', '3', '7'),
        id='escaping to a library: method by name',
    ),
    pytest.param(
        {
            'tasks.py': """
import operator
class A:
    def go(self): return 3

class T(TaskBase):
    def run_task(self):
        return operator.methodcaller('go')(A())

def make(): return T()
""",
        },
        ('tasks.py', '3', '7'),
        id='callable via operator',
    ),
    pytest.param(
        {
            'tasks.py': """
class A:
    @property
    def go(self): return 3

class T(TaskBase):
    def run_task(self):
        return '{0.go}'.format(A())

def make(): return T()
""",
        },
        ('tasks.py', '3', '7'),
        id='format attr',
    ),
    pytest.param(
        {
            'tasks.py': """
X = 3
def f(a=X): return a

class T(TaskBase):
    def run_task(self):
        return f()

def make(): return T()
""",
        },
        ('tasks.py', 'X = 3', 'X = 7'),
        id='nonlocal default',
    ),
    pytest.param(
        {
            'tasks.py': """
class T(TaskBase):
    def run_task(self):
        try:
            assert False, 'no'
        except AssertionError as e: return str(e)

def make(): return T()
""",
        },
        ('tasks.py', "'no'", "'yes'"),
        id='assert caught',
    ),
]

HOW_IT_RUNS = {
    'tasks.py': """
class O(TaskBase):
    def run_task(self): return 1

class T(O, retries=1, channel="a"):
    def run_task(self) -> int: return 3

def make(): return T()
""",
}
UNSEEN = [
    pytest.param(
        HOW_IT_RUNS,
        ('tasks.py', 'retries=1, channel="a"', 'retries=2, channel="b"'),
        id='where and how it runs',
    ),
    pytest.param(
        HOW_IT_RUNS,
        ('tasks.py', '-> int', '-> "float | int"'),
        id='annotations of run_task',
    ),
    pytest.param(
        HOW_IT_RUNS,
        ('tasks.py', 'class O(TaskBase)', 'class O(TaskBase, backend="thread")'),
        id='where it runs, said for the first time',
    ),
    pytest.param(
        {
            'a.py': """
import dataclasses
@dataclasses.dataclass(frozen=True)
class P:
    x: int
    def m(self): return 1
    def unused(self): return 3
""",
            'tasks.py': """
from a import P

class T(TaskBase):
    def __init__(self, p): self.p = p
    def run_task(self):
        return self.p.m()
def make(): return T(P(1))
""",
        },
        ('a.py', 'return 3', 'return 7'),
        id='argument unused method',
    ),
    pytest.param(
        {
            'h.py': """
X = 3
""",
            'tasks.py': """
import h

class T(TaskBase):
    def run_task(self):
        return h.X

def make(): return T()
""",
        },
        ('h.py', 'X = 3', 'X: int = 3'),
        id='annotated const',
    ),
    pytest.param(
        {
            'h.py': """
import functools
def timed(f):
    @functools.wraps(f)
    def w(*a): return f(*a)
    return w
@timed
def f(x): return x
""",
            'tasks.py': """
import h

class T(TaskBase):
    def run_task(self):
        return h.f(1)

def make(): return T()
""",
        },
        ('h.py', 'f(x):', 'f(x: int) -> int:'),
        id='hint with own decorator',
    ),
    pytest.param(
        {
            'h.py': """
def f(x): return x
""",
            'tasks.py': """
import h

class T(TaskBase):
    def run_task(self):
        return list(map(h.f, [1]))

def make(): return T()
""",
        },
        ('h.py', 'f(x):', 'f(x: int) -> int:'),
        id='hint map',
    ),
    pytest.param(
        {
            'h.py': """
def f(x):
    y = x
    return y
""",
            'tasks.py': """
import h

class T(TaskBase):
    def run_task(self):
        return h.f(1)

def make(): return T()
""",
        },
        ('h.py', 'y = x', 'y: int = x'),
        id='local hint',
    ),
    pytest.param(
        {
            'h.py': """
class A:
    def f(self, x): return x
""",
            'tasks.py': """
import h

class T(TaskBase):
    def run_task(self):
        return h.A().f(1)

def make(): return T()
""",
        },
        ('h.py', 'x):', 'x: int) -> int:'),
        id='method hint',
    ),
    pytest.param(
        {
            'h.py': """
class B: pass
class A(B):
    def f(self, x): return x
""",
            'tasks.py': """
import h

class T(TaskBase):
    def run_task(self):
        return h.A().f(1)

def make(): return T()
""",
        },
        ('h.py', 'x):', 'x: int) -> int:'),
        id='method hint in subclass',
    ),
    pytest.param(
        {
            'h.py': """
class B: pass
class A(B):
    k = 1
    def f(self, x): return x
""",
            'tasks.py': """
import h

class T(TaskBase):
    def run_task(self):
        return h.A().f(1)

def make(): return T()
""",
        },
        ('h.py', 'k = 1', 'k: int = 1'),
        id='class attr hint in helper subclass',
    ),
    pytest.param(
        {
            'tasks.py': """
import logging
logging.basicConfig(level=10)
log = logging.getLogger('x')

class T(TaskBase):
    def run_task(self):
        log.info('x'); return 1

def make(): return T()
""",
        },
        ('tasks.py', 'level=10', 'level=20'),
        id='basicConfig',
    ),
    pytest.param(
        {
            'tasks.py': """
import logging
log = logging.getLogger('x')
logging.getLogger('x').setLevel(logging.INFO)

class T(TaskBase):
    def run_task(self):
        log.info('x'); return 1

def make(): return T()
""",
        },
        ('tasks.py', 'INFO', 'DEBUG'),
        id='getLogger().setLevel',
    ),
    pytest.param(
        {
            'tasks.py': """
import logging
log = logging.getLogger('x')
log.level = 10

class T(TaskBase):
    def run_task(self):
        log.info('x'); return 1

def make(): return T()
""",
        },
        ('tasks.py', '10', '20'),
        id='log.level =',
    ),
    pytest.param(
        {
            'h.py': """
import logging
log = logging.getLogger(__name__)
log.setLevel(logging.INFO)
def f():
    log.debug('x')
    return 1
""",
            'tasks.py': """
import h

class T(TaskBase):
    def run_task(self):
        return h.f()

def make(): return T()
""",
        },
        ('h.py', 'INFO', 'DEBUG'),
        id='logger level in helper',
    ),
    pytest.param(
        {
            'tasks.py': """
class T(TaskBase):
    def run_task(self):
        assert self, f'{self} no'; return 1

def make(): return T()
""",
        },
        ('tasks.py', ' no', ' yes'),
        id='assert f-string',
    ),
    pytest.param(
        {
            'h.py': """
import math
class A:
    def f(self): return math.pi
    def unused(self): return 3
""",
            'tasks.py': """
import h

class T(TaskBase):
    def run_task(self):
        return h.A().f()

def make(): return T()
""",
        },
        ('h.py', 'return 3', 'return 7'),
        id='unused method with numpy-less stdlib',
    ),
    pytest.param(
        {
            'h.py': """
class A:
    def f(self): return 1
    @staticmethod
    def unused(): return 3
""",
            'tasks.py': """
import h

class T(TaskBase):
    def run_task(self):
        return h.A().f()

def make(): return T()
""",
        },
        ('h.py', 'return 3', 'return 7'),
        id='unused staticmethod/property',
    ),
    pytest.param(
        {
            'h.py': """
import enum
class A(enum.Enum):
    X = 1
    def f(self): return 1
    def unused(self): return 3
""",
            'tasks.py': """
import h

class T(TaskBase):
    def run_task(self):
        return h.A.X.f()

def make(): return T()
""",
        },
        ('h.py', 'return 3', 'return 7'),
        id='unused method of enum',
    ),
    pytest.param(
        {
            'tasks.py': """
K = {'a': 1}

class T(TaskBase):
    def run_task(self):
        return K

def make(): return T()

def main():
    print(T(), K, 3)
if __name__ == '__main__':
    main()
""",
        },
        ('tasks.py', 'K, 3', 'K, 7'),
        id='print in main of other',
    ),
    pytest.param(
        {
            'tasks.py': """
CONFIG = {'a': 1}
def load(c): return c['a'] + 3
DATA = load(CONFIG)

class T(TaskBase):
    def run_task(self):
        return CONFIG['a']

def make(): return T()
""",
        },
        ('tasks.py', '+ 3', '+ 7'),
        id='config passed to loader',
    ),
]


@pytest.fixture(autouse=True)
def settings_of_libraries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what the projects set in Python's own library."""
    monkeypatch.setattr(colorsys, "rgb_to_hls", colorsys.rgb_to_hls)
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    with decimal.localcontext():
        yield
    root.setLevel(level)
    root.handlers[:] = handlers


def sources(directory: Path, files: dict[str, str], edit: tuple[str, str, str]) -> tuple[str, str]:
    """Read the source of the task before an edit and after it."""
    (directory / "project").mkdir()
    files = {name: (HEAD if name == "tasks.py" else "") + text.lstrip() for name, text in files.items()}
    file, old, new = edit
    assert old in files[file]
    found = []
    for version in (files, {**files, file: files[file].replace(old, new)}):
        write(directory / "project", version)
        found.append(told(directory / "project").source)
    return found[0], found[1]


@pytest.mark.parametrize(("files", "edit"), SEEN)
def test_it_runs_again(tmp_path: Path, quiet: None, files: dict[str, str], edit: tuple[str, str, str]) -> None:
    before, after = sources(tmp_path, files, edit)
    assert not same_source(before, after)
    assert what_changed(before, after), "and why says what changed"


@pytest.mark.parametrize(("files", "edit"), UNSEEN)
def test_it_does_not_run_again(tmp_path: Path, quiet: None, files: dict[str, str], edit: tuple[str, str, str]) -> None:
    before, after = sources(tmp_path, files, edit)
    assert same_source(before, after)
