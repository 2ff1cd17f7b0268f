/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The big receivers, by the names of their MX hosts; the first row that fits counts. */
#include "smtp/relay/route.h"

const struct route_provider route_providers[] = {
    {"google", ".google.com .googlemail.com .smtp.goog"},
    {"outlook", ".olc.protection.outlook.com"},
    {"o365", ".mail.protection.outlook.com"},
    {"o365-dane", ".mx.microsoft"},
    {"yahoo", ".yahoodns.net"},
    {"apple", ".icloud.com"},
    {"gmx", ".gmx.net .web.de"},
    /* Regions of one company, which limit apart. */
    {"mimecast", ".mimecast.com"},
    {"mimecast-za", ".mimecast.co.za"},
    {"mimecast-offshore", ".mimecast-offshore.com"},
    {"proofpoint", ".pphosted.com .ppe-hosted.com"},
    {"barracuda", ".barracudanetworks.com"},
    {"orange", ".orange.fr"},
    {"qq", ".qq.com"},
    {"netease", ".netease.com"},
    {"cloudflare", ".mx.cloudflare.net"},
};
const unsigned route_provider_count = sizeof(route_providers) / sizeof(*route_providers);
