using System.Security.Cryptography.X509Certificates;
using Godwit.Api.Hosts;
using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;

namespace Godwit.Api;

/// <summary>The typed client of godwitd's REST interface.</summary>
/// <remarks>
/// All members may be called at the same time from any thread. Every failure is a <see cref="GodwitException"/>: what the
/// daemon answered, or <see cref="ErrorCode.Unavailable"/> naming the address when it did not answer in time or at all.
/// A token that is cancelled gives an <see cref="OperationCanceledException"/>; the daemon may have acted all the same.
/// </remarks>
public sealed partial class GodwitClient : IDisposable
{
    private static readonly TimeSpan Quick = TimeSpan.FromSeconds(100);
    private static readonly TimeSpan Slow = TimeSpan.FromMinutes(5);

    // A fixed disk on a file system without fallocate is written out in full before the VM is answered for.
    private static readonly TimeSpan VerySlow = TimeSpan.FromHours(2);

    private readonly HttpClient _http;
    private readonly TimeProvider _time;

    /// <summary>Creates the client; nothing is connected yet.</summary>
    /// <param name="address">Where godwitd listens.</param>
    /// <param name="token">The bearer token, for addresses that want one.</param>
    /// <param name="time">The clock for time limits and polling.</param>
    /// <param name="authorities">Whose word is taken for who the host is; needed for https, where nothing else counts.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>: an https address and no authority.</exception>
    public GodwitClient(GodwitAddress address, string? token, TimeProvider time, X509Certificate2Collection? authorities = null)
    {
        Address = address;
        _time = time;
        _http = CreateHttp(address, token, authorities);
    }

    /// <summary>Where godwitd listens.</summary>
    public GodwitAddress Address { get; }

    /// <summary>Lists the VMs of the host, by name.</summary>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<IReadOnlyList<VirtualMachine>> ListVirtualMachinesAsync(CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Get, "v1/vms", null, ApiJson.Default.IReadOnlyListVirtualMachine, Quick, cancellationToken);

    /// <summary>What the disks of all running VMs have done, by name.</summary>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<IReadOnlyList<VirtualMachineStatistics>> ListStatisticsAsync(CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Get, "v1/statistics", null, ApiJson.Default.IReadOnlyListVirtualMachineStatistics, Quick, cancellationToken);

    /// <summary>Answers with one VM.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<VirtualMachine> GetVirtualMachineAsync(string name, CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Get, VmPath(name), null, ApiJson.Default.VirtualMachine, Quick, cancellationToken);

    /// <summary>Creates a VM and the disks that do not exist yet.</summary>
    /// <param name="spec">What it is to be; every path absolute.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<VirtualMachine> CreateVirtualMachineAsync(
        VirtualMachineSpec spec, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Post, "v1/vms", ToJson(spec, ApiJson.Default.VirtualMachineSpec), ApiJson.Default.VirtualMachine, VerySlow,
        cancellationToken);

    /// <summary>Starts a VM and waits until it runs.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<VirtualMachine> StartVirtualMachineAsync(string name, CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Post, VmPath(name) + "/start", null, ApiJson.Default.VirtualMachine, Slow, cancellationToken);

    /// <summary>Stops a VM and waits until it is off.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="request">How to stop it.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<VirtualMachine> StopVirtualMachineAsync(
        string name, StopRequest request, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Post, VmPath(name) + "/stop", ToJson(request, ApiJson.Default.StopRequest), ApiJson.Default.VirtualMachine,
        TimeSpan.FromSeconds(request.TimeoutSeconds) + Quick, cancellationToken);

    /// <summary>Restarts the disk worker of a running VM, from the program that is installed now.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<VirtualMachine> RestartWorkerAsync(string name, CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Post, VmPath(name) + "/restart-worker", null, ApiJson.Default.VirtualMachine, Slow, cancellationToken);

    /// <summary>Removes a VM from the host.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="deleteDisks">Delete its image files too.</param>
    /// <param name="force">Turn it off first when it is not off.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task RemoveVirtualMachineAsync(string name, bool deleteDisks, bool force, CancellationToken cancellationToken)
    {
        var query = (deleteDisks ? "&deleteDisks=true" : "") + (force ? "&force=true" : "");
        var path = query.Length == 0 ? VmPath(name) : $"{VmPath(name)}?{query[1..]}";
        return SendForBytesAsync(HttpMethod.Delete, path, null, Slow, cancellationToken);
    }

    /// <summary>Checks a storage move and answers with what it would do; nothing is changed.</summary>
    /// <param name="name">The VM's name.</param>
    /// <param name="request">What to move where.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<StorageMovePlan> PlanStorageMoveAsync(
        string name, StorageMoveRequest request, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Post, VmPath(name) + "/storage-moves",
        ToJson(request with { DryRun = true }, ApiJson.Default.StorageMoveRequest),
        ApiJson.Default.StorageMovePlan, Slow, cancellationToken);

    /// <summary>Starts a storage move and answers with its job, which goes on by itself.</summary>
    /// <param name="name">The VM's name.</param>
    /// <param name="request">What to move where.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<Job> MoveStorageAsync(
        string name, StorageMoveRequest request, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Post, VmPath(name) + "/storage-moves",
        ToJson(request with { DryRun = false }, ApiJson.Default.StorageMoveRequest),
        ApiJson.Default.Job, Slow, cancellationToken);

    /// <summary>Lists the jobs the host remembers.</summary>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<IReadOnlyList<Job>> ListJobsAsync(CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Get, "v1/jobs", null, ApiJson.Default.IReadOnlyListJob, Quick, cancellationToken);

    /// <summary>Answers with one job.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<Job> GetJobAsync(Guid id, CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Get, $"v1/jobs/{id}", null, ApiJson.Default.Job, Quick, cancellationToken);

    /// <summary>Asks a job to stop and to undo what it did; answers at once.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<Job> CancelJobAsync(Guid id, CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Post, $"v1/jobs/{id}/cancel", null, ApiJson.Default.Job, Quick, cancellationToken);

    /// <summary>Answers with the host itself.</summary>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<HostStatus> GetHostAsync(CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Get, "v1/host", null, ApiJson.Default.HostStatus, Quick, cancellationToken);

    /// <summary>Stops all VMs because the host goes down, each as its settings say.</summary>
    /// <param name="cancellationToken">Gives up waiting; what has begun goes on.</param>
    public Task<IReadOnlyList<StoppedVirtualMachine>> StopAllVirtualMachinesAsync(CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Post, "v1/host/stop-vms", null, ApiJson.Default.IReadOnlyListStoppedVirtualMachine, VerySlow, cancellationToken);

    /// <summary>Finds configuration files of VMs and takes them in.</summary>
    /// <param name="request">Where to look; every path absolute.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<IReadOnlyList<RescanFinding>> RescanAsync(RescanRequest request, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Post, "v1/host/rescan", ToJson(request, ApiJson.Default.RescanRequest), ApiJson.Default.IReadOnlyListRescanFinding, Slow,
        cancellationToken);

    /// <summary>Looks at everything the host needs.</summary>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<IReadOnlyList<CheckFinding>> CheckHostAsync(CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Get, "v1/host/checks", null, ApiJson.Default.IReadOnlyListCheckFinding, Quick, cancellationToken);

    /// <summary>Closes the connections.</summary>
    public void Dispose() => _http.Dispose();

    private static string VmPath(string name) => "v1/vms/" + Segment(name);

    // Dots would be resolved before the request is sent, and make another one of it.
    private static string Segment(string name) => name is "." or ".."
        ? throw new GodwitException(ErrorCode.InvalidRequest, $"'{name}' is no name.")
        : Uri.EscapeDataString(name);
}
