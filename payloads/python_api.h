// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The interpreter's symbols that code inside the target uses. The agent imports nothing by name:
 * remora looks each name up in the target's own symbol tables and passes a table of addresses.
 *
 * RMR_PYTHON_API(X) calls X(name, need): need 1 = every CPython 3.6 to 3.15 exports it and the
 * attach is refused without it; 0 = NULL where the version does not have it.
 * Source of the list: `nm -D` of every interpreter that the tests run on.
 */
#ifndef RMR_PAYLOADS_PYTHON_API_H
#define RMR_PAYLOADS_PYTHON_API_H

#define RMR_PYTHON_API(X)                                                                          \
	X(Py_IsInitialized, 1)                                                                     \
	X(_Py_IsFinalizing, 0)                                                                     \
	X(Py_IsFinalizing, 0)                                                                      \
	X(_Py_Finalizing, 0)                                                                       \
	X(PyEval_ThreadsInitialized, 0)                                                            \
	X(PyGILState_Ensure, 1)                                                                    \
	X(PyGILState_Release, 1)                                                                   \
	X(_PyThreadState_UncheckedGet, 0)                                                          \
	X(PyThreadState_GetUnchecked, 0)                                                           \
	X(PyThreadState_Get, 1)                                                                    \
	X(PyThreadState_New, 1)                                                                    \
	X(PyThreadState_Clear, 1)                                                                  \
	X(PyThreadState_Delete, 1)                                                                 \
	X(PyThreadState_DeleteCurrent, 1)                                                          \
	X(PyThreadState_Swap, 1)                                                                   \
	X(PyThreadState_SetAsyncExc, 1)                                                            \
	X(PyEval_SaveThread, 1)                                                                    \
	X(PyEval_RestoreThread, 1)                                                                 \
	X(PyEval_GetBuiltins, 1)                                                                   \
	X(PyEval_EvalCode, 1)                                                                      \
	X(PyInterpreterState_Head, 1)                                                              \
	X(PyInterpreterState_Next, 1)                                                              \
	X(PyInterpreterState_ThreadHead, 1)                                                        \
	X(PyInterpreterState_GetID, 0)                                                             \
	X(PyThreadState_Next, 1)                                                                   \
	X(Py_CompileString, 1)                                                                     \
	X(Py_GetVersion, 1)                                                                        \
	X(PyImport_GetModuleDict, 1)                                                               \
	X(PyDict_New, 1)                                                                           \
	X(PyDict_SetItemString, 1)                                                                 \
	X(PyDict_GetItemString, 1)                                                                 \
	X(PyDict_Clear, 1)                                                                         \
	X(PyBytes_FromStringAndSize, 1)                                                            \
	X(PyUnicode_FromString, 1)                                                                 \
	X(PyLong_FromLong, 1)                                                                      \
	X(PyLong_AsLong, 1)                                                                        \
	X(PyErr_Occurred, 1)                                                                       \
	X(PyErr_Clear, 1)                                                                          \
	X(PyErr_Fetch, 1)                                                                          \
	X(PyErr_Restore, 1)                                                                        \
	X(PyObject_CallObject, 1)                                                                  \
	X(Py_IncRef, 1)                                                                            \
	X(Py_DecRef, 1)                                                                            \
	X(PyObject_Str, 1)                                                                         \
	X(PyUnicode_AsUTF8, 1)                                                                     \
	X(_Py_Dealloc, 1)                                                                          \
	X(PyThread_get_thread_ident, 1)                                                            \
	X(PyExc_KeyboardInterrupt, 1)                                                              \
	X(_PyRuntime, 0)                                                                           \
	X(_PyGC_generation0, 0)                                                                    \
	X(_PyThreadState_Current, 0)                                                               \
	X(Py_Version, 0)                                                                           \
	X(_Py_NegativeRefcount, 0)                                                                 \
	X(_Py_RefTotal, 0)                                                                         \
	X(_Py_MergeZeroLocalRefcount, 0)                                                           \
	X(_Py_tracemalloc_config, 0)                                                               \
	X(_PySet_Dummy, 0)                                                                         \
	X(_Py_NoneStruct, 1)                                                                       \
	X(_Py_TrueStruct, 1)                                                                       \
	X(_Py_FalseStruct, 1)                                                                      \
	X(PyType_Type, 1)                                                                          \
	X(PyBaseObject_Type, 1)                                                                    \
	X(PyUnicode_Type, 1)                                                                       \
	X(PyBytes_Type, 1)                                                                         \
	X(PyByteArray_Type, 1)                                                                     \
	X(PyLong_Type, 1)                                                                          \
	X(PyBool_Type, 1)                                                                          \
	X(PyFloat_Type, 1)                                                                         \
	X(PyComplex_Type, 1)                                                                       \
	X(PyTuple_Type, 1)                                                                         \
	X(PyList_Type, 1)                                                                          \
	X(PyDict_Type, 1)                                                                          \
	X(PyODict_Type, 1)                                                                         \
	X(PySet_Type, 1)                                                                           \
	X(PyFrozenSet_Type, 1)                                                                     \
	X(PyModule_Type, 1)                                                                        \
	X(PyFunction_Type, 1)                                                                      \
	X(PyMethod_Type, 1)                                                                        \
	X(PyCFunction_Type, 1)                                                                     \
	X(PyCode_Type, 1)                                                                          \
	X(PyFrame_Type, 1)                                                                         \
	X(PyGen_Type, 1)                                                                           \
	X(PyCoro_Type, 1)                                                                          \
	X(PyAsyncGen_Type, 1)                                                                      \
	X(PyCell_Type, 1)                                                                          \
	X(PySlice_Type, 1)                                                                         \
	X(PyRange_Type, 1)                                                                         \
	X(PyMemoryView_Type, 1)                                                                    \
	X(PyProperty_Type, 1)                                                                      \
	X(PyStaticMethod_Type, 1)                                                                  \
	X(PyClassMethod_Type, 1)                                                                   \
	X(PyMethodDescr_Type, 1)                                                                   \
	X(PyClassMethodDescr_Type, 1)                                                              \
	X(PyGetSetDescr_Type, 1)                                                                   \
	X(PyMemberDescr_Type, 1)                                                                   \
	X(PyWrapperDescr_Type, 1)                                                                  \
	X(_PyWeakref_RefType, 1)                                                                   \
	X(_PyWeakref_ProxyType, 1)                                                                 \
	X(_PyWeakref_CallableProxyType, 1)                                                         \
	X(PyTraceBack_Type, 1)                                                                     \
	X(PyDictProxy_Type, 1)

/** One address a name; the field is 0 where the target has no such symbol. */
struct rmr_python_api {
#define RMR_PYTHON_FIELD(name, need) void *name;
	RMR_PYTHON_API(RMR_PYTHON_FIELD)
#undef RMR_PYTHON_FIELD
};

#endif
