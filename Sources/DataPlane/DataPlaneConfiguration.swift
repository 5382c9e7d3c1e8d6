public import Directory

/// What the data plane is loaded with.
public struct DataPlaneConfiguration: Sendable {
  /// Who the rack is on the network.
  public var rack: RackConfiguration
  /// Which program is loaded; nil: that of the data plane that is running, or else XDP's.
  public var kind: PlaneKind?
  /// Buckets of the directory: a power of two; each has room for four hot keys.
  public var buckets: Int
  /// Bytes of the sample ring: a power of two and whole pages.
  public var sampleRingBytes: Int

  /// The defaults: room for 8,192 hot keys, and a ring of some 3,800 samples.
  public init(rack: RackConfiguration, buckets: Int = 2048, sampleRingBytes: Int = 1 << 20) {
    self.rack = rack
    self.buckets = buckets
    self.sampleRingBytes = sampleRingBytes
  }
}
