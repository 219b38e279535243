namespace Godwit.Host.Certificates;

/// <summary>Renews the host's certificate when a third of its life is left, where the authority is on this host.</summary>
internal sealed class CertificateRenewal(HostCertificates certificates, TimeProvider time, ILogger<CertificateRenewal> log) : BackgroundService
{
    private static readonly TimeSpan Pause = TimeSpan.FromHours(12);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            RenewIfDue();
            await Task.Delay(Pause, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private void RenewIfDue()
    {
        try
        {
            if (certificates.IsDue)
            {
                log.LogInformation("The host's certificate was renewed and is good until {End}", certificates.Renew(null).NotAfter);
            }
        }
        catch (Exception e)
        {
            // There are months left to put it right.
            log.LogError(e, "The host's certificate could not be renewed");
        }
    }
}
