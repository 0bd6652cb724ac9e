"""Every module that registers a part of a model; mmengine imports this one when it first builds one."""
