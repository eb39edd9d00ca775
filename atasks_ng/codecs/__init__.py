import pickle
from .base import Codec, get_codec
class MsgpackCodec(Codec):
    def encode(self, obj): return pickle.dumps(obj)
    def decode(self, c): return pickle.loads(c)
