extension TwitterCluster {
  /// All 54, by number. What the table leaves out (N/A) is nil or empty.
  public static let all: [TwitterCluster] = [
    TwitterCluster(1, alpha: 2.6774, keyLength: 80, valueLength: 267, [.get: 0.99]),
    TwitterCluster(2, alpha: 1.4908, keyLength: 21, valueLength: 68, [.get: 1.00]),
    TwitterCluster(3, alpha: 1.6414, keyLength: 19, valueLength: 120, [.get: 0.99]),
    TwitterCluster(4, alpha: 1.1004, keyLength: 67, valueLength: 2439, [.get: 0.93, .set: 0.07]),
    TwitterCluster(5, alpha: nil, keyLength: nil, valueLength: nil, [:]),
    TwitterCluster(6, alpha: 1.882, keyLength: 44, valueLength: 252, [.get: 0.98, .set: 0.02]),
    TwitterCluster(7, alpha: 1.0666, keyLength: 17, valueLength: 1936, [.get: 0.82, .set: 0.18]),
    TwitterCluster(8, alpha: 1.7366, keyLength: 23, valueLength: 9497, [.set: 0.50, .get: 0.50]),
    TwitterCluster(9, alpha: 1.6796, keyLength: 32, valueLength: 39, [.get: 0.99]),
    TwitterCluster(10, alpha: 0, keyLength: 22, valueLength: 2333, [.add: 0.50, .get: 0.50]),
    TwitterCluster(
      11, alpha: 1.4891, keyLength: 24, valueLength: 170,
      [.get: 0.96, .add: 0.02, .gets: 0.01, .cas: 0.01]),
    TwitterCluster(12, alpha: 0.3048, keyLength: 44, valueLength: 1030, [.set: 0.80, .get: 0.20]),
    TwitterCluster(13, alpha: 0.4565, keyLength: 44, valueLength: 4266, [.get: 0.38, .set: 0.62]),
    TwitterCluster(
      14, alpha: 1.2959, keyLength: 96, valueLength: 414, [.get: 0.65, .delete: 0.22, .set: 0.13]),
    TwitterCluster(15, alpha: 0.0242, keyLength: 18, valueLength: 102, [.set: 1.00]),
    TwitterCluster(
      16, alpha: 1.7862, keyLength: 18, valueLength: 115, [.get: 0.93, .set: 0.04, .add: 0.01]),
    TwitterCluster(17, alpha: 2.1106, keyLength: 19, valueLength: 212, [.get: 0.99]),
    TwitterCluster(
      18, alpha: 2.0994, keyLength: 18, valueLength: 37,
      [.get: 0.96, .add: 0.01, .gets: 0.01, .cas: 0.01]),
    TwitterCluster(19, alpha: 0.735, keyLength: 42, valueLength: 101, [.get: 0.75, .set: 0.25]),
    TwitterCluster(20, alpha: 1.3699, keyLength: 26, valueLength: 55, [.get: 0.96, .add: 0.03]),
    TwitterCluster(21, alpha: 0.0521, keyLength: 25, valueLength: 1, [.add: 1.00]),
    TwitterCluster(
      22, alpha: 0.7624, keyLength: 54, valueLength: 4, [.get: 0.72, .incr: 0.18, .set: 0.10]),
    TwitterCluster(
      23, alpha: 0.274, keyLength: 35, valueLength: 224,
      [.set: 0.31, .get: 0.36, .incr: 0.30, .delete: 0.02]),
    TwitterCluster(24, alpha: 1.3726, keyLength: 32, valueLength: 699, [.get: 0.99]),
    TwitterCluster(
      25, alpha: 0.9929, keyLength: 49, valueLength: 28,
      [.get: 0.95, .add: 0.02, .gets: 0.02, .cas: 0.02]),
    TwitterCluster(26, alpha: 0.6299, keyLength: 122, valueLength: 1745, [.get: 0.71, .set: 0.29]),
    TwitterCluster(27, alpha: 1.065, keyLength: 66, valueLength: 8, [.get: 0.85, .set: 0.15]),
    TwitterCluster(
      28, alpha: 1.503, keyLength: 45, valueLength: 85, [.get: 0.91, .set: 0.03, .add: 0.03]),
    TwitterCluster(29, alpha: 1.2323, keyLength: 36, valueLength: 799, [.get: 0.86, .set: 0.13]),
    TwitterCluster(30, alpha: 1.4259, keyLength: 22, valueLength: 689, [.get: 0.99]),
    TwitterCluster(31, alpha: 0, keyLength: 41, valueLength: 15, [.set: 0.94, .get: 0.06]),
    TwitterCluster(32, alpha: 0, keyLength: 41, valueLength: 138, [.set: 0.98, .get: 0.02]),
    TwitterCluster(33, alpha: 1.354, keyLength: 24, valueLength: 1118, [.get: 0.99, .set: 0.01]),
    TwitterCluster(34, alpha: 1.1401, keyLength: 33, valueLength: 322, [.get: 0.94, .set: 0.06]),
    TwitterCluster(35, alpha: 0, keyLength: 19, valueLength: 1796, [.get: 0.96, .set: 0.04]),
    TwitterCluster(
      36, alpha: 1.2169, keyLength: 23, valueLength: 78,
      [.get: 0.93, .add: 0.04, .gets: 0.01, .cas: 0.01]),
    TwitterCluster(
      37, alpha: 0.4251, keyLength: 72, valueLength: 20_134, [.set: 0.37, .get: 0.63]),
    TwitterCluster(38, alpha: 0, keyLength: 41, valueLength: 185, [.set: 0.94, .get: 0.06]),
    TwitterCluster(39, alpha: 0, keyLength: 41, valueLength: 80, [.set: 0.94, .get: 0.06]),
    TwitterCluster(40, alpha: 0.8551, keyLength: 44, valueLength: 155, [.set: 0.50, .get: 0.50]),
    TwitterCluster(41, alpha: 0.8542, keyLength: 44, valueLength: 171, [.get: 0.50, .set: 0.50]),
    TwitterCluster(42, alpha: 1.5974, keyLength: 40, valueLength: 4703, [.get: 0.96, .add: 0.04]),
    TwitterCluster(43, alpha: nil, keyLength: 44, valueLength: 304, [.set: 0.50, .get: 0.50]),
    TwitterCluster(44, alpha: 1.4084, keyLength: 25, valueLength: 22, [.get: 0.98, .add: 0.01]),
    TwitterCluster(45, alpha: 0.6372, keyLength: 10, valueLength: 120, [.add: 0.15, .get: 0.85]),
    TwitterCluster(46, alpha: nil, keyLength: 44, valueLength: 928, [.set: 0.32, .get: 0.68]),
    TwitterCluster(47, alpha: 2.0637, keyLength: 44, valueLength: 267, [.get: 1.00]),
    TwitterCluster(48, alpha: 0.8191, keyLength: 44, valueLength: 70, [.set: 0.35, .get: 0.65]),
    TwitterCluster(
      49, alpha: 1.5095, keyLength: 44, valueLength: 10_658, [.set: 0.43, .get: 0.57]),
    TwitterCluster(
      50, alpha: 1.2816, keyLength: 18, valueLength: 67_485, [.get: 0.52, .set: 0.48]),
    TwitterCluster(51, alpha: 1.9745, keyLength: 44, valueLength: 221, [.get: 0.90, .set: 0.10]),
    TwitterCluster(
      52, alpha: 1.2117, keyLength: 20, valueLength: 273,
      [.get: 0.91, .add: 0.04, .gets: 0.02, .cas: 0.02]),
    TwitterCluster(
      53, alpha: 1.2061, keyLength: 36, valueLength: 9213, [.get: 0.89, .set: 0.03, .prepend: 0.09]),
    TwitterCluster(54, alpha: 1.611, keyLength: 19, valueLength: 246, [.get: 0.97, .set: 0.03]),
  ]
}
