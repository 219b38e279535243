namespace Godwit.Benchmarks.Nbd;

/// <summary>One load on one server: medians over the rounds.</summary>
/// <param name="Name">The load.</param>
/// <param name="Server">"godwit", "qsd-threads", "qsd-io_uring" or "nbdkit".</param>
/// <param name="Format">"raw" or "vhdx".</param>
/// <param name="Client">Who asked: "qemu-img bench" or "fio".</param>
/// <param name="Iops">Requests per second.</param>
/// <param name="CpuMicrosecondsPerRequest">Processor time of the server process per request.</param>
/// <param name="Rounds">Requests per second in each round.</param>
internal sealed record Measurement(
    string Name, string Server, string Format, string Client, double Iops, double CpuMicrosecondsPerRequest, IReadOnlyList<double> Rounds);

/// <summary>What it takes to have a server.</summary>
/// <param name="Server">"godwit", "qemu-nbd" or "nbdkit".</param>
/// <param name="Milliseconds">From before the start of the process to the greeting in a client's hands; the median.</param>
/// <param name="IdleBytes">Resident memory one second after the start, nobody having connected.</param>
/// <param name="ServedBytes">Resident memory after one connection has come and gone.</param>
/// <param name="Rounds">Milliseconds of each start.</param>
internal sealed record StartMeasurement(string Server, double Milliseconds, long IdleBytes, long ServedBytes, IReadOnlyList<double> Rounds);

/// <summary>nbdcopy of the sparse disk: medians over the rounds.</summary>
/// <param name="Server">"godwit" (VHDX), "qsd-vhdx" or "qsd-qcow2".</param>
/// <param name="Target">"null" or "raw file".</param>
/// <param name="Seconds">From the start of nbdcopy to its end.</param>
/// <param name="CpuSeconds">Processor time of the server.</param>
/// <param name="Rounds">Seconds of each round.</param>
internal sealed record CopyMeasurement(string Server, string Target, double Seconds, double CpuSeconds, IReadOnlyList<double> Rounds);

/// <summary>What the run found out, as written to the report file; what was not measured is empty or null.</summary>
internal sealed record NbdReport(
    IReadOnlyDictionary<string, double> Ratios,
    double? BytesAllocatedPerRequest,
    IReadOnlyList<Measurement> Results,
    IReadOnlyList<StartMeasurement> Starts,
    IReadOnlyList<CopyMeasurement> Copies,
    IReadOnlyList<Goal> Goals,
    IReadOnlyList<string> Notes,
    long? GodwitResidentBytes,
    int Rounds,
    string Folder,
    string DiskFolder,
    int Processors,
    double LoadAverage);
