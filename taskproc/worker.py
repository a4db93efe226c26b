"""placeholder"""
def execute(payload, capture): raise NotImplementedError
def cancel_execution(nonce): raise NotImplementedError
