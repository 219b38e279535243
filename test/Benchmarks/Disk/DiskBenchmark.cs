using Godwit.Testing;
using Godwit.Testing.Hosts;

namespace Godwit.Benchmarks.Disk;

/// <summary>Operations on image files: our program beside qemu-img and cp, whole processes on the same files, in turn
/// (A B A B …), so that whatever else the machine does hits all alike.</summary>
/// <param name="godwit">The program as it is shipped.</param>
/// <param name="parent">A folder on the file system to be measured.</param>
/// <param name="size">How much is done.</param>
/// <param name="parts">Which parts: sparse, full, blocks, open.</param>
internal sealed class DiskBenchmark(string godwit, string parent, DiskRunSize size, IReadOnlySet<string> parts)
{
    /// <summary>The parts there are.</summary>
    public static IReadOnlyList<string> Parts { get; } = ["sparse", "full", "blocks", "open"];

    private readonly List<DiskMeasurement> _results = [];
    private readonly List<string> _notes = [];

    public async Task<DiskReport> RunAsync(CancellationToken cancellationToken)
    {
        using var folder = new TempFolder(parent);
        var cases = new DiskCases(godwit, folder.Path);
        if (parts.Contains("sparse"))
            await MeasureSetAsync(folder.Path, cases.Of("sparse", withCopy: false), "sparse", size.SparseDisk, size.SparseData, cancellationToken);
        if (parts.Contains("full"))
            await MeasureSetAsync(folder.Path, cases.Of("full", withCopy: true), "full", size.FullDisk, size.FullDisk, cancellationToken);
        if (parts.Contains("open"))
            await MeasureOpenAsync(cases, folder.Path, cancellationToken);
        List<NewBlocksMeasurement> blocks = [];
        if (parts.Contains("blocks"))
        {
            Say("new blocks");
            blocks = await new NewBlocks(godwit, folder.Path, size).RunAsync(cancellationToken);
        }

        return new DiskReport(
            _results, blocks, _notes, parent, await FileSystemAsync(cancellationToken), Environment.ProcessorCount, LoadAverage());
    }

    private async Task MeasureSetAsync(
        string folder, IEnumerable<DiskCase> cases, string name, int mebibytes, int data, CancellationToken cancellationToken)
    {
        Say($"making {name} files in {folder}");
        await DiskFiles.CreateAsync(folder, name, mebibytes, data, cancellationToken);
        foreach (var one in cases)
            await MeasureAsync(one, cancellationToken);
        foreach (var file in Directory.EnumerateFiles(folder))
            File.Delete(file);
    }

    private async Task MeasureOpenAsync(DiskCases cases, string folder, CancellationToken cancellationToken)
    {
        var (empty, full) = (Path.Combine(folder, "empty.vhdx"), Path.Combine(folder, "table.vhdx"));
        await DiskFiles.CreateHugeAsync(godwit, empty, size.HugeTebibytes, fullTable: false, cancellationToken);
        await MeasureAsync(cases.Open($"{size.HugeTebibytes} TiB, empty: info", empty, map: false), cancellationToken);
        await MeasureAsync(cases.Open($"{size.HugeTebibytes} TiB, empty: map", empty, map: true), cancellationToken);
        if (!size.FullTable)
            return;
        Say("filling a table of 513 MiB");
        await DiskFiles.CreateHugeAsync(godwit, full, size.HugeTebibytes, fullTable: true, cancellationToken);
        await MeasureAsync(cases.Open($"{size.HugeTebibytes} TiB, full table: info", full, map: false), cancellationToken);
        await MeasureAsync(cases.Open($"{size.HugeTebibytes} TiB, full table: map", full, map: true), cancellationToken);
    }

    private async Task MeasureAsync(DiskCase one, CancellationToken cancellationToken)
    {
        Say(one.Name);
        if (one.Note is string note && !_notes.Contains(note))
            _notes.Add(note);
        var samples = one.Contenders.Select(_ => new List<DiskSample>()).ToList();
        for (var round = 0; round < size.Rounds; round++)
        {
            // Backwards, so that the file there at the end of the first round is Godwit's, and everybody comes after somebody else.
            for (var i = one.Contenders.Count - 1; i >= 0; i--)
                samples[i].Add(await TimedProgram.RunAsync(one.Contenders[i], cancellationToken));
            if (round == 0 && one.Check is Contender check)
                (await ChildProgram.RunAsync(check.Program, check.Arguments, null, cancellationToken)).Succeeded();
        }

        _results.AddRange(one.Contenders.Select((contender, i) => new DiskMeasurement(one.Name, contender.Name, samples[i])));
    }

    private async Task<string> FileSystemAsync(CancellationToken cancellationToken) =>
        (await ChildProgram.RunAsync("df", ["--output=fstype", parent], null, cancellationToken)).Succeeded().Output.Split()[^2];

    private static double LoadAverage() =>
        double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture);

    private static void Say(string what) => Console.Error.WriteLine($"disk: {what}");
}
