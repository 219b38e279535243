using System.Security.Cryptography;
using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Godwit.Worker.Layers;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>A worker with disks of some format that get layers while it runs, and what there is to say about their files.</summary>
internal sealed class LayeredDisks : IAsyncDisposable
{
    private static readonly Dictionary<string, string> Deaths = new() { [PlantedDeath.Variable] = "1" };
    private readonly CancellationToken _ct;
    private readonly string _ending;

    private LayeredDisks(WorkerUnderTest worker, string ending, CancellationToken ct) => (Worker, _ending, _ct) = (worker, ending, ct);

    public WorkerUnderTest Worker { get; }

    /// <summary>Where the disks and their layers are.</summary>
    public string Folder => Path.GetDirectoryName(Worker.Config)!;

    /// <summary>Makes disks called disk0, disk1 and so on, and serves them.</summary>
    /// <param name="format">vhdx, vhdx4k or vhd.</param>
    /// <param name="size">Bytes of each.</param>
    /// <param name="count">How many.</param>
    /// <param name="ct">Gives up.</param>
    public static async Task<LayeredDisks> StartAsync(string format, long size, int count, CancellationToken ct)
    {
        var ending = format == "vhd" ? "vhd" : "vhdx";
        string[] names = [.. Enumerable.Range(0, count).Select(disk => $"disk{disk}.{ending}")];
        var disks = new LayeredDisks(WorkerUnderTest.Create(names), ending, ct);
        var options = new ImageCreateOptions { BlockSize = format == "vhd" ? 512 << 10 : 1 << 20, LogicalSectorSize = format == "vhdx4k" ? 4096 : 512 };
        foreach (var name in names)
            await DiskImage.CreateAsync(disks.Worker.File(name), format == "vhd" ? ImageFormat.VhdDynamic : ImageFormat.VhdxDynamic, size, options, ct);
        disks.Worker.Supervise(Deaths);
        await disks.Worker.StatusAsync(ct);
        return disks;
    }

    public string Base(int disk = 0) => Worker.File($"disk{disk}.{_ending}");

    /// <summary>The path of a layer, so that it ends as its format has it.</summary>
    public string Layer(string name) => Worker.File($"{name}.a{_ending}");

    public AddLayers Cut(Guid job, string name, int disks = 1) =>
        new(job, [.. Enumerable.Range(0, disks).Select(disk => new NewLayer($"disk{disk}", Layer($"{name}-{disk}")))]);

    /// <summary>Puts a layer on top of each disk.</summary>
    public async Task CutAsync(string name, int disks = 1) => Assert.Null((await Worker.AskAsync(Cut(Guid.NewGuid(), name, disks), _ct)).Problem);

    /// <summary>The worker is to kill itself at a step.</summary>
    public void DieAt(string step) => File.WriteAllText(Path.Combine(Worker.Config, PlantedDeath.DieAt), step);

    /// <summary>A step is to fail.</summary>
    public void FailAt(string step) => File.WriteAllText(Path.Combine(Worker.Config, PlantedDeath.FailAt), step);

    /// <summary>The planted step has been reached.</summary>
    public bool HasHappened => !File.Exists(Path.Combine(Worker.Config, PlantedDeath.DieAt)) && !File.Exists(Path.Combine(Worker.Config, PlantedDeath.FailAt));

    /// <summary>Sends a request once; what becomes of it does not matter.</summary>
    public Task SendAsync(WorkerRequest request) => Worker.TrySendAsync(JsonSerializer.Serialize(request, ApiJson.Default.WorkerRequest), _ct);

    /// <summary>The files of the disks, by name.</summary>
    public string[] Files() => [.. Directory.GetFiles(Folder).Select(file => Path.GetFileName(file)!).Where(file => !file.EndsWith(".judge", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    /// <summary>What an image reads as with those below it, as a raw file; for files that somebody may have open for reading.</summary>
    public async Task<string> ToRawAsync(string image)
    {
        var raw = image + ".judge";
        var content = await ReadAsync(image);
        await File.WriteAllBytesAsync(raw, content, _ct);
        return raw;
    }

    /// <summary>What an image reads as with those below it.</summary>
    public async Task<byte[]> ReadAsync(string image)
    {
        var chain = await DiskChain.OpenAsync(image, new ChainOptions { ReadOnly = true }, _ct);
        await using var device = chain.Device;
        var content = new byte[device.Length];
        await device.ReadAsync(0, content, _ct);
        return content;
    }

    public async Task<string> HashAsync(string image) => Convert.ToHexString(SHA256.HashData(await ReadAsync(image)));

    /// <summary>What the disk reads as over NBD.</summary>
    public async Task<byte[]> ReadServedAsync(string export = "disk0")
    {
        await using var disk = await Worker.ConnectAsync(export, _ct);
        var content = new byte[disk.Length];
        for (var at = 0; at < content.Length; at += 1 << 20)
            await disk.ReadAsync(at, content.AsMemory(at, Math.Min(1 << 20, content.Length - at)), _ct);
        return content;
    }

    /// <summary>After a stop: the chain is in order, and 7-Zip, which knows nothing of us, reads the same from it.</summary>
    public async Task JudgeAsync(string leaf)
    {
        foreach (var layer in await ChainCheck.RunAsync(leaf, new ChainOptions(), _ct))
            Assert.True(layer.Report.Errors == 0, $"{layer.Path}: {string.Join("; ", layer.Report.Findings.Select(finding => finding.Message))}");
        var sevenZip = Array.Find(["/usr/bin/7zz", "/usr/bin/7z"], File.Exists);
        if (sevenZip is null)
            return;
        var extracted = Path.Combine(Folder, "extracted");
        await Tools.RunAsync([sevenZip, "x", "-y", $"-t{_ending.ToUpperInvariant()}", $"-o{extracted}", leaf], _ct);
        var theirs = await File.ReadAllBytesAsync(Directory.GetFiles(extracted).Single(), _ct);
        Directory.Delete(extracted, recursive: true);
        Assert.True((await ReadAsync(leaf)).AsSpan().SequenceEqual(theirs), "7-Zip reads something else");
    }

    /// <summary>Writes, discards and zeroes at random, and does the same to the model.</summary>
    public async Task ChangeAsync(Random random, byte[] model, int count)
    {
        await Worker.WaitForAsync(disk => disk.Problem is null && disk.Size > 0, _ct);
        await using var disk = await Worker.ConnectAsync("disk0", _ct);
        for (var i = 0; i < count; i++)
        {
            var offset = random.Next(model.Length / 4096) * 4096;
            var length = Math.Min(random.Next(1, i % 9 == 0 ? 512 : 32) * 4096, model.Length - offset);
            var part = model.AsMemory(offset, length);
            switch (random.Next(3))
            {
                case 0:
                    await disk.TrimAsync(offset, length, _ct);
                    part.Span.Clear();
                    break;
                case 1:
                    await disk.WriteZeroesAsync(offset, length, WriteFlags.None, _ct);
                    part.Span.Clear();
                    break;
                default:
                    random.NextBytes(part.Span);
                    await disk.WriteAsync(offset, part, WriteFlags.None, _ct);
                    break;
            }
        }
    }

    public ValueTask DisposeAsync() => Worker.DisposeAsync();
}
