using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Godwit.Api;
using Godwit.ControlPlane.Access;
using Godwit.ControlPlane.Checks;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.Migrations;
using Godwit.ControlPlane.Store;
using Godwit.ControlPlane.VirtualMachines;
using Godwit.ControlPlane.VirtualMachines.Checkpoints;
using Godwit.ControlPlane.VirtualMachines.Creating;
using Godwit.ControlPlane.VirtualMachines.Drives;
using Godwit.ControlPlane.VirtualMachines.Removing;
using Godwit.ControlPlane.VirtualMachines.Saving;
using Godwit.Host.Access;
using Godwit.Host.Certificates;
using Godwit.Host.Checks;
using Godwit.Host.Endpoints;
using Godwit.Host.Http;
using Godwit.Host.VirtualMachines;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Godwit.Host;

/// <summary>The web application over given parts. Tests give it fakes.</summary>
internal static class HostApplication
{
    private const long MaximumBody = 1 << 20;

    public static WebApplication Build(
        DaemonOptions options,
        HostFolders folders,
        Database database,
        VirtualMachineParts parts,
        IAcceleratorChoice accelerators,
        TimeProvider time)
    {
        var certificates = new HostCertificates(folders, time);
        if (options.Listen is not null && certificates.Current is null)
        {
            throw new GodwitException(
                ErrorCode.WrongState, "--listen needs a certificate, and this host has none: nothing is ever served in clear.",
                "Start godwitd without --listen, run 'godwit host init' (or 'godwit host join'), and start it with --listen again.");
        }
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "godwitd" });
        builder.Host.UseSystemd();
        AddLogging(builder, options);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => Configure(kestrel, options, folders, certificates));
        // Requests in flight get a moment; jobs need none, they are journalled.
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(5));
        builder.Services.AddRoutingCore();
        builder.Services.AddOpenApi(InterfaceDescription.Configure);
        builder.Services.Configure<RouteHandlerOptions>(route => route.ThrowOnBadRequest = true);
        builder.Services.ConfigureHttpJsonOptions(json =>
        {
            json.SerializerOptions.TypeInfoResolverChain.Insert(0, ApiJson.Default.WithAddedModifier(NoEmptyElements.Apply));
            json.SerializerOptions.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
            json.SerializerOptions.RespectNullableAnnotations = true;
            json.SerializerOptions.RespectRequiredConstructorParameters = true;
            // A misspelt "retainSource" must not silently delete the source.
            json.SerializerOptions.UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow;
        });
        builder.Services.AddSingleton(certificates);
        AddParts(builder.Services, options, folders, database, parts, accelerators, time);
        var app = builder.Build();
        var trail = app.Services.GetRequiredService<AuditTrail>();
        app.Use(next => context => trail.InvokeAsync(context, next));
        app.UseMiddleware<ProblemAnswers>();
        app.UseMiddleware<PlainTargets>();
        app.UseMiddleware<CallerIdentification>();
        app.UseMiddleware<RequestLimits>();
        app.UseRouting();
        app.UseMiddleware<AccessGate>();
        app.UseMiddleware<RepeatedRequests>();
        app.MapOpenApi();
        VirtualMachineEndpoints.Map(app);
        VirtualMachineControlEndpoints.Map(app);
        DriveEndpoints.Map(app);
        PointEndpoints.Map(app);
        CheckpointEndpoints.Map(app);
        JobEndpoints.Map(app);
        HostEndpoints.Map(app);
        StatisticsEndpoints.Map(app);
        AccessEndpoints.Map(app);
        CertificateEndpoints.Map(app);
        JoinEndpoints.Map(app);
        // A socket file of a killed daemon is in the way; the state folder's lock says that nobody uses it.
        File.Delete(folders.Socket);
        app.Lifetime.ApplicationStarted.Register(
            () => File.SetUnixFileMode(folders.Socket, UnixFileMode.UserRead | UnixFileMode.UserWrite));
        return app;
    }

    private static void Configure(KestrelServerOptions kestrel, DaemonOptions options, HostFolders folders, HostCertificates certificates)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = MaximumBody;
        kestrel.Limits.MaxConcurrentConnections = 256;
        kestrel.ListenUnixSocket(folders.Socket, listen =>
        {
            listen.Protocols = HttpProtocols.Http1;
            LocalCallers.Identify(listen);
        });
        if (options.Listen is { } address)
        {
            kestrel.Listen(address, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                SecureListener.Secure(listen, certificates);
            });
        }
    }

    private static void AddLogging(WebApplicationBuilder builder, DaemonOptions options)
    {
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning);
        if (options.JsonLog)
        {
            builder.Logging.AddJsonConsole(console => console.UseUtcTimestamp = true);
        }
        else
        {
            builder.Logging.AddSimpleConsole(console =>
            {
                console.SingleLine = true;
                console.UseUtcTimestamp = true;
                console.TimestampFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z' ";
            });
        }
    }

    private static void AddParts(
        IServiceCollection services,
        DaemonOptions options,
        HostFolders folders,
        Database database,
        VirtualMachineParts parts,
        IAcceleratorChoice accelerators,
        TimeProvider time)
    {
        services.AddSingleton(options);
        services.AddSingleton(time);
        services.AddSingleton(parts);
        services.AddSingleton(accelerators);
        services.AddSingleton(new TokenStore(database, time));
        services.AddSingleton(options.Rates);
        services.AddSingleton(new AnswerStore(database, time));
        services.AddSingleton(new AuditLog(database));
        services.AddSingleton(new JoinTokenStore(database, time));
        services.AddSingleton<AuditTrail>();
        services.AddSingleton<Joining>();
        services.AddSingleton<IJobObserver, JobLog>();
        services.AddSingleton<IJobKind>(new StorageMoveKind(parts, options.StorageMoves));
        services.AddSingleton<IJobKind>(new SaveKind(parts));
        services.AddSingleton<IJobKind>(new CreateKind(parts));
        services.AddSingleton<IJobKind>(new RemoveKind(parts));
        services.AddSingleton<IJobKind>(new CheckpointKind(parts));
        services.AddSingleton<IJobKind>(new ApplyKind(parts));
        services.AddSingleton<IJobKind>(new MergeKind(parts));
        services.AddSingleton(provider => new JobRunner(
            database, provider.GetServices<IJobKind>(), time, provider.GetServices<IJobObserver>()));
        services.AddSingleton<StorageMoves>();
        services.AddSingleton<VirtualMachineOperations>();
        services.AddSingleton<VirtualMachineLife>();
        services.AddSingleton<VirtualMachineControl>();
        services.AddSingleton<VirtualMachineChanges>();
        services.AddSingleton<DvdDrives>();
        services.AddSingleton<SavedStates>();
        services.AddSingleton<CheckpointOperations>();
        services.AddSingleton<StatisticsReader>();
        services.AddSingleton<DiskLimiting>();
        services.AddSingleton<DiskTracking>();
        services.AddSingleton<WorkerRestarts>();
        services.AddSingleton(provider =>
        {
            var log = provider.GetRequiredService<ILogger<Reconciler>>();
            return new Reconciler(
                parts, provider.GetRequiredService<JobRunner>(), provider.GetRequiredService<SavedStates>(), time, (vm, text) => log.LogWarning("VM {Name} {Text}", vm.Name, text));
        });
        services.AddSingleton<AutomaticStop>();
        services.AddSingleton(folders);
        services.AddSingleton<IHostCheck, ProgramCheck>();
        services.AddSingleton<IHostCheck, FirmwareCheck>();
        services.AddSingleton<IHostCheck, FolderCheck>();
        services.AddSingleton<IHostCheck, ClockCheck>();
        services.AddSingleton<IHostCheck, MachineCheck>();
        services.AddSingleton<IHostCheck, JobCheck>();
        services.AddSingleton<HostChecks>();
        services.AddSingleton<Rescan>();
        services.AddSingleton(provider =>
        {
            var log = provider.GetRequiredService<ILogger<AutomaticStart>>();
            return new AutomaticStart(
                parts, provider.GetRequiredService<VirtualMachineOperations>(), database, time,
                (vm, text) => log.LogInformation("VM {Name} {Text}", vm.Name, text));
        });
        services.AddHostedService<ReconcileLoop>();
        services.AddHostedService<CertificateRenewal>();
    }
}
