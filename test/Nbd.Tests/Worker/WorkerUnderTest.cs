using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>The built worker program in a folder of its own, with a control client. Ends whatever it started.</summary>
internal sealed class WorkerUnderTest : IAsyncDisposable
{
    private static readonly TimeSpan Slow = TimeSpan.FromSeconds(40);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);
    private readonly TempFolder _folder = new();
    private readonly List<Process> _supervisors = [];
    private readonly Timer _watch;

    private WorkerUnderTest()
    {
        Directory.CreateDirectory(Config);
        var output = TestContext.Current.TestOutputHelper;
        _watch = new Timer(_ => output?.WriteLine(Describe()), null, Slow, Timeout.InfiniteTimeSpan);
    }

    public string Config => _folder.File("c");

    public string Run => _folder.File("r");

    public string NbdSocket => Path.Combine(Run, "nbd.sock");

    public string ControlSocket => Path.Combine(Run, "control.sock");

    public string ConfigFile => Path.Combine(Config, "worker.json");

    public string Log => System.IO.File.ReadAllText(Path.Combine(Config, "worker.log"));

    public Process Supervisor => _supervisors[^1];

    /// <summary>The program: the published one when GODWIT_PROGRAMS says where, else the one built with the tests.</summary>
    public static string Program
    {
        get
        {
            var folder = Environment.GetEnvironmentVariable("GODWIT_PROGRAMS") ?? AppContext.BaseDirectory;
            var program = Path.Combine(folder, "godwit-worker");
            return System.IO.File.Exists(program)
                ? program
                : throw new FileNotFoundException($"{program} is missing; build it, or set GODWIT_PROGRAMS to the folder that holds it");
        }
    }

    /// <summary>Writes worker.json; nothing runs yet.</summary>
    public static WorkerUnderTest Create(params ReadOnlySpan<string> disks)
    {
        var worker = new WorkerUnderTest();
        var entries = new List<WorkerDiskConfig>();
        foreach (var name in disks)
            entries.Add(new WorkerDiskConfig(new WorkerDisk(Path.GetFileNameWithoutExtension(name), worker.File(name))));
        worker.Write(new WorkerConfig(Guid.NewGuid(), entries));
        return worker;
    }

    /// <summary>Makes the disk images with the worker's own program, starts a supervisor and waits for the first answer.</summary>
    public static async Task<WorkerUnderTest> StartAsync(long size, CancellationToken ct, params string[] disks)
    {
        var worker = Create(disks);
        foreach (var name in disks)
            await worker.MakeImageAsync(worker.File(name), size, ct);
        worker.Supervise();
        await worker.StatusAsync(ct);
        return worker;
    }

    public string File(string name) => _folder.File(name);

    public WorkerConfig Read() =>
        JsonSerializer.Deserialize(System.IO.File.ReadAllBytes(ConfigFile), ApiJson.Default.WorkerConfig)!;

    public void Write(WorkerConfig config) =>
        System.IO.File.WriteAllBytes(ConfigFile, JsonSerializer.SerializeToUtf8Bytes(config, ApiJson.Default.WorkerConfig));

    public Task MakeImageAsync(string path, long size, CancellationToken ct)
    {
        var format = path.EndsWith(".vhdx", StringComparison.Ordinal) ? "vhdx" : "raw";
        return Tools.RunAsync(
            [Program, "image", "create", path, "--size", size.ToString(CultureInfo.InvariantCulture), "--format", format], ct);
    }

    /// <summary>Says where disks may be, as a host does before it starts the supervisor.</summary>
    public void AllowOnly(params string[] roots) => System.IO.File.WriteAllBytes(
        Path.Combine(Config, "folders.json"), JsonSerializer.SerializeToUtf8Bytes(new ParentFolders(roots, []), ApiJson.Default.ParentFolders));

    public Process Supervise(IReadOnlyDictionary<string, string>? environment = null, string? program = null)
    {
        var process = ChildProgram.Start(program ?? Program, ["supervise", "--config", Config, "--run", Run], environment, redirect: true);
        _supervisors.Add(process);
        return process;
    }

    /// <summary>Asks, again and again while nobody answers, as a host does.</summary>
    public async Task<WorkerReply> AskAsync(WorkerRequest request, CancellationToken ct)
    {
        var line = JsonSerializer.Serialize(request, ApiJson.Default.WorkerRequest);
        var start = Stopwatch.GetTimestamp();
        while (true)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
            limit.CancelAfter(Patience * 2);
            var answer = await TrySendAsync(line, limit.Token);
            if (answer is not null)
                return JsonSerializer.Deserialize(answer, ApiJson.Default.WorkerReply)!;
            if (Stopwatch.GetElapsedTime(start) > Patience)
                throw new TimeoutException($"no answer to {line}\n{Describe()}");
            await Task.Delay(10, ct);
        }
    }

    /// <summary>Sends a line once.</summary>
    /// <returns>The answer, or null when the connection broke before there was one.</returns>
    public async Task<string?> TrySendAsync(string line, CancellationToken ct)
    {
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(ControlSocket), ct);
            await using var stream = new NetworkStream(socket);
            await stream.WriteAsync(Encoding.UTF8.GetBytes(line + "\n"), ct);
            using var reader = new StreamReader(stream);
            return await reader.ReadLineAsync(ct);
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            return null;
        }
    }

    public async Task<WorkerStatus> StatusAsync(CancellationToken ct) => (await AskAsync(new GetStatus(), ct)).Status!;

    /// <summary>Has the worker restarted, as a host does; the old one may still answer a question after its last reply.</summary>
    public async Task<WorkerStatus> RestartAsync(CancellationToken ct)
    {
        var before = (await StatusAsync(ct)).ProcessId;
        Assert.Null((await AskAsync(new RestartWorker(), ct)).Problem);
        while (true)
        {
            if (await StatusAsync(ct) is var status && status.ProcessId != before)
                return status;
            await Task.Delay(5, ct);
        }
    }

    public async Task<WorkerDiskStatus> DiskAsync(CancellationToken ct) => (await StatusAsync(ct)).Disks[0];

    /// <summary>Polls the first disk until a condition holds.</summary>
    public async Task<WorkerDiskStatus> WaitForAsync(Func<WorkerDiskStatus, bool> condition, CancellationToken ct)
    {
        var start = Stopwatch.GetTimestamp();
        while (true)
        {
            var disk = await DiskAsync(ct);
            if (condition(disk))
                return disk;
            if (Stopwatch.GetElapsedTime(start) > Patience)
                throw new TimeoutException($"still {disk}\n{Describe()}");
            await Task.Delay(20, ct);
        }
    }

    /// <summary>Polls the log until it has the words: lines wait until the guest is served, so an answer may come before they are written.</summary>
    public async Task WaitForLogAsync(string words, CancellationToken ct)
    {
        var start = Stopwatch.GetTimestamp();
        while (!Log.Contains(words, StringComparison.Ordinal))
        {
            if (Stopwatch.GetElapsedTime(start) > Patience)
                throw new TimeoutException($"the log does not say \"{words}\"\n{Describe()}");
            await Task.Delay(20, ct);
        }
    }

    public ValueTask<NbdDevice> ConnectAsync(string disk, CancellationToken ct) =>
        NbdDevice.ConnectAsync(new UnixDomainSocketEndPoint(NbdSocket), disk, ct);

    /// <summary>The worker process as its own lock names it.</summary>
    public int WorkerProcessId() =>
        int.Parse(System.IO.File.ReadAllText(Path.Combine(Config, "worker.lock")).Split(' ')[0], CultureInfo.InvariantCulture);

    /// <summary>kill -9 of the worker; false when it was just gone.</summary>
    public bool KillWorker()
    {
        try
        {
            using var process = Process.GetProcessById(WorkerProcessId());
            process.Kill();
            return true;
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException or FormatException)
        {
            return false;
        }
    }

    /// <summary>What a test that takes too long has to say, before its time is up.</summary>
    private string Describe() =>
        $"{Log}\nsupervisor {Threads(Supervisor.Id)}\nworker {Threads(WorkerProcessId())}";

    /// <summary>Every thread of a process with its state and the place in the kernel where it waits.</summary>
    private static string Threads(int process)
    {
        try
        {
            return $"{process}\n" + string.Join('\n', Directory.GetDirectories($"/proc/{process}/task").Select(task =>
                $"  {System.IO.File.ReadAllText(task + "/stat")[..40]} waits in {System.IO.File.ReadAllText(task + "/wchan")}"));
        }
        catch (IOException e)
        {
            return $"{process}: {e.Message}";
        }
    }

    /// <summary>Stops the worker cleanly and waits for the supervisor's end.</summary>
    public async Task<int> StopAsync(CancellationToken ct)
    {
        await AskAsync(new StopWorker(), ct);
        await Supervisor.WaitForExitAsync(ct);
        return Supervisor.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        await _watch.DisposeAsync();
        foreach (var supervisor in _supervisors)
        {
            supervisor.Kill();
            await supervisor.WaitForExitAsync();
            supervisor.Dispose();
        }

        // A worker outlives its supervisor on purpose.
        if (System.IO.File.Exists(Path.Combine(Config, "worker.lock")) && _supervisors.Count > 0)
            KillWorker();
        _folder.Dispose();
    }
}
