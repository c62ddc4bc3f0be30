/*
 * What the evaluator calls to specialise an instruction: in a context, through a
 * draft. For ceval.c alone; see pxspecialize.c.
 */
#ifndef Py_INTERNAL_PXSPECIALIZE_H
#define Py_INTERNAL_PXSPECIALIZE_H

#ifndef Py_BUILD_CORE
#error "this header requires Py_BUILD_CORE define"
#endif

#ifdef Py_PARALLEL

#include "pycore_code.h"

/* A context: the draft of what may become of this instruction, with the right to
 * write it; NULL: not now. Then put it in place, which ends the right. */
extern _Py_CODEUNIT *_Px_Draft(_Py_CODEUNIT *instr);
extern void _Px_Publish(_Py_CODEUNIT *instr);

/* The call writes to *px_at. */
#define _Px_SPECIALIZE(instr, call)                                            \
    do {                                                                       \
        _Py_CODEUNIT *px_at = _Px_IN() ? _Px_Draft(instr) : (instr);           \
        if (px_at) {                                                           \
            call;                                                              \
        }                                                                      \
        if (px_at && px_at != (instr)) {                                       \
            _Px_Publish(instr);                                                \
        }                                                                      \
    } while (0)

#define _Py_Specialize_LoadSuperAttr(super, cls, instr, load_method)           \
    _Px_SPECIALIZE(                                                            \
        instr, _Py_Specialize_LoadSuperAttr(super, cls, px_at, load_method))
#define _Py_Specialize_LoadAttr(owner, instr, name)                            \
    _Px_SPECIALIZE(instr, _Py_Specialize_LoadAttr(owner, px_at, name))
#define _Py_Specialize_StoreAttr(owner, instr, name)                           \
    _Px_SPECIALIZE(instr, _Py_Specialize_StoreAttr(owner, px_at, name))
#define _Py_Specialize_LoadGlobal(globals, builtins, instr, name)              \
    _Px_SPECIALIZE(instr,                                                      \
                   _Py_Specialize_LoadGlobal(globals, builtins, px_at, name))
#define _Py_Specialize_BinarySubscr(container, sub, instr)                     \
    _Px_SPECIALIZE(instr, _Py_Specialize_BinarySubscr(container, sub, px_at))
#define _Py_Specialize_StoreSubscr(container, sub, instr)                      \
    _Px_SPECIALIZE(instr, _Py_Specialize_StoreSubscr(container, sub, px_at))
#define _Py_Specialize_Call(callable, instr, nargs)                            \
    _Px_SPECIALIZE(instr, _Py_Specialize_Call(callable, px_at, nargs))
#define _Py_Specialize_BinaryOp(lhs, rhs, instr, oparg, locals)                \
    _Px_SPECIALIZE(instr,                                                      \
                   _Py_Specialize_BinaryOp(lhs, rhs, px_at, oparg, locals))
#define _Py_Specialize_CompareOp(lhs, rhs, instr, oparg)                       \
    _Px_SPECIALIZE(instr, _Py_Specialize_CompareOp(lhs, rhs, px_at, oparg))
#define _Py_Specialize_UnpackSequence(seq, instr, oparg)                       \
    _Px_SPECIALIZE(instr, _Py_Specialize_UnpackSequence(seq, px_at, oparg))
#define _Py_Specialize_ForIter(iter, instr, oparg)                             \
    _Px_SPECIALIZE(instr, _Py_Specialize_ForIter(iter, px_at, oparg))
#define _Py_Specialize_Send(receiver, instr)                                   \
    _Px_SPECIALIZE(instr, _Py_Specialize_Send(receiver, px_at))
#define _Py_Specialize_ToBool(value, instr)                                    \
    _Px_SPECIALIZE(instr, _Py_Specialize_ToBool(value, px_at))
#define _Py_Specialize_ContainsOp(value, instr)                                \
    _Px_SPECIALIZE(instr, _Py_Specialize_ContainsOp(value, px_at))

#endif
#endif
