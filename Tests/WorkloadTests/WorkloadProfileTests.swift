import Testing
import Workload

private func cluster(_ number: Int) throws -> TwitterCluster {
  try #require(TwitterCluster.all.first { $0.number == number })
}

private func profile(_ number: Int) throws -> WorkloadProfile {
  try #require(try cluster(number).profile)
}

@Suite struct TwitterClusterTests {
  @Test("the table has all 54 clusters, with figures as published or none")
  func table() {
    #expect(TwitterCluster.all.map(\.number) == Array(1...54))
    #expect(TwitterCluster.all.filter { $0.alpha == nil }.map(\.number) == [5, 43, 46])
    #expect(TwitterCluster.all.filter { $0.alpha == 0 }.map(\.number) == [10, 31, 32, 35, 38, 39])
    #expect(TwitterCluster.all.filter { $0.profile == nil }.map(\.number) == [5])
    for cluster in TwitterCluster.all where cluster.number != 5 {
      let total = cluster.operations.values.reduce(0, +)
      #expect((0.93...1.021).contains(total), "\(cluster.name)")
      #expect((0...ZipfDistribution.alphaMax).contains(cluster.alpha ?? 0))
    }
  }

  @Test("some clusters' figures")
  func figures() throws {
    let cluster18 = try cluster(18)
    #expect(cluster18.alpha == 2.0994 && cluster18.keyLength == 18 && cluster18.valueLength == 37)
    #expect(cluster18.operations == [.get: 0.96, .add: 0.01, .gets: 0.01, .cas: 0.01])
    let cluster37 = try cluster(37)
    #expect(cluster37.valueLength == 20_134 && cluster37.operations == [.set: 0.37, .get: 0.63])
    #expect(try cluster(53).operations[.prepend] == 0.09)
  }

  @Test("shares are scaled to 1, and what the protocol has not is mapped and said")
  func mapping() throws {
    let mapped = try profile(18)
    #expect(abs(mapped.mix.readShare - 0.97 / 0.99) < 1e-12)
    #expect(abs(mapped.mix.writeShare - 0.02 / 0.99) < 1e-12)
    #expect(mapped.notes.contains { $0.hasPrefix("gets is sent as GET") })
    #expect(mapped.notes.contains { $0.hasPrefix("add, cas sent as SET") })
    #expect(mapped.notes.contains("the published shares add up to 0.99 and are scaled to 1"))
    let deleting = try profile(14)
    #expect(abs(deleting.mix.deleteShare - 0.22) < 1e-12)
    #expect(!deleting.notes.contains { $0.contains("sent as") || $0.contains("scaled") })
    #expect(try profile(2).mix == .readsOnly)
  }

  @Test("an alpha of 0, or none, is said")
  func noAlpha() throws {
    #expect(try profile(10).notes.contains { $0.contains("alpha was published as 0") })
    let none = try profile(43)
    #expect(none.alpha == nil && none.notes.contains { $0.hasPrefix("no alpha was published") })
  }
}

@Suite struct WorkloadProfileTests {
  @Test("what exceeds a datagram is cut and said; what fits is left")
  func cut() throws {
    var large = try profile(37)
    large.cut(keyLengthMax: 50, bodyLengthMax: 1_316)
    #expect(large.keyLength == 50 && large.valueLengths == .fixed(1_266))
    #expect(large.notes.contains("keys of 72 bytes are cut to 50"))
    #expect(large.notes.contains { $0.hasPrefix("values of 20134 bytes are cut to 1266") })
    var small = try profile(18)
    let notes = small.notes
    small.cut(keyLengthMax: 250, bodyLengthMax: 1_316)
    #expect(small.keyLength == 18 && small.valueLengths == .fixed(37) && small.notes == notes)
    small.valueLengths = .uniform(10...2_000)
    small.cut(keyLengthMax: 250, bodyLengthMax: 1_316)
    #expect(small.valueLengths == .uniform(10...1_298))
  }

  @Test("YCSB's core workloads have its shares")
  func ycsb() {
    func mix(_ workload: YCSBWorkload) -> OperationMix { workload.profile.mix }
    #expect(mix(.a) == OperationMix(readShare: 0.5) && mix(.a).writeShare == 0.5)
    #expect(mix(.b).readShare == 0.95 && abs(mix(.b).writeShare - 0.05) < 1e-12)
    #expect(mix(.c) == .readsOnly)
    #expect(mix(.d).insertShare == 0.05 && YCSBWorkload.d.profile.order == .latest)
    #expect(mix(.d).writeShare < 1e-12)
    #expect(mix(.f).readModifyWriteShare == 0.5 && mix(.f).writeShare == 0)
    #expect(YCSBWorkload.f.profile.notes.contains { $0.contains("read-modify-write is a GET") })
    #expect(YCSBWorkload.allCases.allSatisfy { $0.profile.alpha == 0.99 })
  }
}
