namespace Godwit.Benchmarks.Nbd;

/// <summary>One load on one server: medians over the rounds.</summary>
/// <param name="Name">The load.</param>
/// <param name="Server">"godwit", "qsd-threads" or "qsd-io_uring".</param>
/// <param name="Format">"raw" or "vhdx".</param>
/// <param name="Client">Who asked: "qemu-img bench" or "fio".</param>
/// <param name="Iops">Requests per second.</param>
/// <param name="CpuMicrosecondsPerRequest">Processor time of the server process per request.</param>
/// <param name="Rounds">Requests per second in each round.</param>
internal sealed record Measurement(
    string Name, string Server, string Format, string Client, double Iops, double CpuMicrosecondsPerRequest, IReadOnlyList<double> Rounds);

/// <summary>What the run found out, as written to the report file.</summary>
internal sealed record NbdReport(
    IReadOnlyDictionary<string, double> Ratios,
    double BytesAllocatedPerRequest,
    IReadOnlyList<Measurement> Results,
    long GodwitResidentBytes,
    string Folder,
    int Processors,
    double LoadAverage);
