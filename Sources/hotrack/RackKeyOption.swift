import Configuration
import Wire

extension RackKeys {
  /// From a rack's key file.
  init(file path: String) throws(RackKeyError) {
    let bytes = try RackKeyFile.read(path)
    guard let keys = RackKeys(bytes) else { throw .wrongLength(path: path, bytes.count) }
    self = keys
  }
}
