using System.Text.Json;

namespace Godwit.Benchmarks.Demo;

/// <summary>What the demo measured; written as JSON by `--report FILE`.</summary>
internal sealed record DemoReport(
    long AckedRecords,
    long LostRecords,
    long CorruptRecords,
    double LongestStallMs,
    double HeartbeatGapMs,
    long BytesCopied,
    double Seconds,
    bool SourceRemoved,
    long GuestWriteErrors,
    long SourceAllocatedBytes,
    long TargetAllocatedBytes,
    int WorkerKills,
    bool TargetChecked,
    string DiskPath,
    string Accelerator)
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>Everything the demo promises is so.</summary>
    public bool IsGood => AckedRecords > 0 && LostRecords == 0 && CorruptRecords == 0 && GuestWriteErrors == 0
        && SourceRemoved && TargetChecked && WorkerKills == 1;

    public void Write(string file) => File.WriteAllText(file, JsonSerializer.Serialize(this, Options) + "\n");

    public void Print()
    {
        Console.WriteLine();
        Line("records acknowledged to the guest", $"{AckedRecords}");
        Line("  lost", $"{LostRecords}");
        Line("  corrupt", $"{CorruptRecords}");
        Line("write errors the guest saw", $"{GuestWriteErrors}");
        Line("longest write stall", $"{LongestStallMs:0} ms");
        Line("longest heartbeat gap", $"{HeartbeatGapMs:0} ms");
        Line("worker killed with SIGKILL while mirroring", WorkerKills == 1 ? "once" : $"{WorkerKills} times");
        Line("bytes copied / allocated before", $"{BytesCopied / 1048576.0:0.0} MiB / {SourceAllocatedBytes / 1048576.0:0.0} MiB");
        Line("the move took", $"{Seconds:0.0} s");
        Line("old file", SourceRemoved ? "gone" : "STILL THERE");
        Line("new file, by qemu-img check", TargetChecked ? "clean" : "NOT CLEAN");
        Line("the VM's disk is now", DiskPath);
        Line("accelerator", Accelerator);
        Console.WriteLine();
        Console.WriteLine(IsGood ? "Nothing was lost." : "THE DEMO FAILED: see above.");
    }

    private static void Line(string what, string value) => Console.WriteLine($"  {what,-46}{value}");
}
