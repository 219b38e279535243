using System.Diagnostics;
using System.Text.Json;
using Godwit.Storage.Formats;
using Godwit.Testing.Guest;
using Godwit.Testing.Hosts;

namespace Godwit.EndToEnd;

/// <summary>A host of its own with one running guest that writes to a disk of its own.</summary>
internal sealed class GuestUnderTest : IAsyncDisposable
{
    private GuestUnderTest(HostUnderTest host, GuestLog log, string source, ImageFormat format)
    {
        Host = host;
        Log = log;
        Source = source;
        Format = format;
    }

    public const string Name = "guest";

    private static readonly Dictionary<string, ImageFormat> Formats = new()
    {
        ["raw"] = ImageFormat.Raw,
        ["vhdx"] = ImageFormat.VhdxDynamic,
        ["vhdx-differencing"] = ImageFormat.VhdxDifferencing,
        ["vhd"] = ImageFormat.VhdDynamic,
        ["vhd-differencing"] = ImageFormat.VhdDifferencing,
    };

    public HostUnderTest Host { get; }

    public GuestLog Log { get; }

    /// <summary>The disk's first place.</summary>
    public string Source { get; }

    public ImageFormat Format { get; }

    /// <summary>Creates the VM, starts it and waits until it has written its filler and some records.</summary>
    public static async Task<GuestUnderTest> StartAsync(
        CancellationToken ct, int fillMebibytes = 96, int writesPerSecond = 200, string format = "vhdx", string size = "8G", int writers = 1,
        string place = "", params string[] options)
    {
        var host = await HostUnderTest.StartAsync(HostUnderTest.DefaultPrograms, ct);
        try
        {
            var image = await GuestImage.BuildAsync(Path.Combine(host.Folder, "guest"), ct);
            var source = Path.Combine(host.Folder, "a", format == "raw" ? "disk.img" : $"disk.{format.Split('-')[0]}");
            var serial = Path.Combine(host.Folder, "serial.log");
            Directory.CreateDirectory(Path.GetDirectoryName(source)!);
            var disk = format.EndsWith("-differencing", StringComparison.Ordinal)
                ? await CreateChildAsync(host, source, size, ct)
                : $"{source},size={size},format={format}{place}";
            var log = new GuestLog(serial);
            string[] create =
            [
                "vm", "create", Name, "--memory", "192M", "--cpus", "1", "--disk", disk,
                "--kernel", image.Kernel, "--initrd", image.Initrd, "--serial", serial,
                "--append", GuestImage.Append($"godwit.fill={fillMebibytes} godwit.wr={writesPerSecond} godwit.writers={writers}"),
                .. options,
            ];
            (await host.GodwitAsync(create, ct)).Succeeded();
            (await host.GodwitAsync(["vm", "start", Name], ct)).Succeeded();
            await log.WaitForLineAsync("READY", TimeSpan.FromSeconds(60), ct);
            await log.WaitForLineAsync("F done", TimeSpan.FromSeconds(90), ct);
            await log.WaitForAcknowledgedAsync(100, TimeSpan.FromSeconds(30), ct);
            return new GuestUnderTest(host, log, source, Formats[format]);
        }
        catch (Exception e)
        {
            var log = host.ReadLog();
            await host.DisposeAsync();
            throw new InvalidOperationException($"the guest did not come up: {e.Message}\ngodwitd's log:\n{log}", e);
        }
    }

    public Task<JsonElement> ShowAsync(CancellationToken ct) => Host.ShowAsync(Name, ct);

    /// <summary>Where the VM's disk is now, as the host says.</summary>
    public async Task<string> DiskPathAsync(CancellationToken ct) =>
        (await ShowAsync(ct)).GetProperty("disks")[0].GetProperty("path").GetString()!;

    /// <summary>Starts a move and returns the job's id.</summary>
    public async Task<string> BeginMoveAsync(string folder, CancellationToken ct, params string[] options)
    {
        var job = (await Host.GodwitAsync(["vm", "move-storage", Name, "--to", folder, "--no-wait", "--json", .. options], ct)).Json();
        return job.GetProperty("id").GetString()!;
    }

    public async Task<JsonElement> JobAsync(string id, CancellationToken ct) => (await Host.GodwitAsync(["job", "show", id, "--json"], ct)).Json();

    /// <summary>Waits until the job satisfies a condition; the exception has the job and the daemon's log.</summary>
    public async Task<JsonElement> WaitForJobAsync(string id, Func<JsonElement, bool> met, CancellationToken ct)
    {
        var begun = Stopwatch.StartNew();
        while (true)
        {
            var job = await JobAsync(id, ct);
            if (met(job))
                return job;
            if (HasEnded(job) || begun.Elapsed > TimeSpan.FromSeconds(90))
                throw new InvalidOperationException($"the job is not as expected: {job}\ngodwitd's log:\n{Host.ReadLog()}");
            await Task.Delay(50, ct);
        }
    }

    public Task<JsonElement> WaitForEndAsync(string id, string state, CancellationToken ct) =>
        WaitForJobAsync(id, job => HasEnded(job) && job.GetProperty("state").GetString() == state, ct);

    public static bool HasEnded(JsonElement job) => job.GetProperty("state").GetString() is "Succeeded" or "Failed" or "Cancelled";

    /// <summary>Waits until the background copy has copied that many bytes.</summary>
    public Task<JsonElement> WaitForCopiedAsync(string id, long bytes, CancellationToken ct) => WaitForJobAsync(
        id,
        job => job.GetProperty("phase").GetString() == "Copy"
            && job.TryGetProperty("progress", out var progress) && progress.GetProperty("bytesDone").GetInt64() >= bytes,
        ct);

    /// <summary>Kills the disk worker with SIGKILL.</summary>
    public async Task KillWorkerAsync(CancellationToken ct)
    {
        var id = (await ShowAsync(ct)).GetProperty("workerProcessId").GetInt32();
        try
        {
            using var worker = Process.GetProcessById(id);
            worker.Kill();
        }
        catch (ArgumentException)
        {
            // It had just been replaced: the next kill will find the new one.
        }
    }

    /// <summary>The guest is still being told that its writes are done, now.</summary>
    public Task GoesOnWritingAsync(CancellationToken ct) =>
        Log.WaitForAcknowledgedAsync(Log.AcknowledgedCount + 100, TimeSpan.FromSeconds(30), ct);

    /// <summary>Stops the guest and checks every record it was told is written. Returns the disk's final path.</summary>
    public async Task<string> StopAndVerifyAsync(CancellationToken ct)
    {
        await GoesOnWritingAsync(ct);
        var path = await DiskPathAsync(ct);
        (await Host.GodwitAsync(["vm", "stop", Name], ct)).Succeeded();
        await using var disk = await DiskImage.OpenAsync(path, Format, readOnly: true, ct);
        var records = await GuestRecords.VerifyAsync(disk, Log, ct);
        Xunit.Assert.True(records.IsClean, string.Join('\n', records.Problems));
        Xunit.Assert.Equal(0, Log.ErrorCount);
        (await Host.GodwitAsync(["disk", "check", path], ct)).Succeeded();
        if (Format == ImageFormat.VhdxDynamic)
            (await ChildProgram.RunAsync("qemu-img", ["check", "-f", "vhdx", path], null, ct)).Succeeded();
        return path;
    }

    /// <summary>A disk with two layers below it: the guest's writes fall on blocks and sectors that are a parent's.</summary>
    private static async Task<string> CreateChildAsync(HostUnderTest host, string leaf, string size, CancellationToken ct)
    {
        var extension = Path.GetExtension(leaf);
        var lower = Path.ChangeExtension(leaf, $".base{extension}");
        var middle = Path.ChangeExtension(leaf, $".middle{extension}");
        (await host.GodwitAsync(["disk", "create", lower, "--size", size], ct)).Succeeded();
        (await host.GodwitAsync(["disk", "create", middle, "--parent", lower], ct)).Succeeded();
        (await host.GodwitAsync(["disk", "create", leaf, "--parent", middle], ct)).Succeeded();
        return leaf;
    }

    /// <summary>Bytes a file occupies.</summary>
    public static async Task<long> AllocatedAsync(string file, CancellationToken ct)
    {
        var blocks = (await ChildProgram.RunAsync("stat", ["-c", "%b", file], null, ct)).Succeeded().Output;
        return long.Parse(blocks, System.Globalization.CultureInfo.InvariantCulture) * 512;
    }

    public async ValueTask DisposeAsync()
    {
        Log.Dispose();
        await Host.DisposeAsync();
    }
}
